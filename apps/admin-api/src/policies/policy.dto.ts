import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsString, Max, MaxLength, Min } from 'class-validator';
import { POLICY_SECTIONS } from '#policy';

const SECTION_NAMES = POLICY_SECTIONS.map(({ name }) => name);

export class FindingDto {
  @ApiProperty({ type: String, example: 'P1' })
  code!: string;

  @ApiProperty({ type: String, enum: ['blocks', 'warns', 'info'] })
  severity!: string;

  @ApiProperty({ type: String, description: 'JSON pointer (RFC 6901) into the policy; empty for the whole of it.' })
  pointer!: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 1 })
  line?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 1 })
  column?: number;

  @ApiProperty({ type: String })
  message!: string;

  @ApiPropertyOptional({ type: String, description: 'What to write instead.' })
  fix?: string;
}

export class ReleaseDto {
  @ApiProperty({ type: 'integer' })
  id!: number;

  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiPropertyOptional({ type: 'integer', description: 'The revision that was live before.' })
  previous?: number;

  @ApiProperty({ type: String, description: 'Name of the API key that made it.' })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  releasedAt!: string;

  @ApiPropertyOptional({
    type: String,
    format: 'date-time',
    description: 'From then on it is in force no longer, unless it was confirmed.',
  })
  confirmBy?: string;
}

export class PolicyChangeDto {
  @ApiProperty({ type: String, description: 'Part of the policy: `rcpt`, `clients`, `routes`; empty for the rest.' })
  section!: string;

  @ApiProperty({ type: String })
  name!: string;

  @ApiProperty({ type: String, enum: ['added', 'removed', 'changed', 'moved'] })
  change!: string;

  @ApiPropertyOptional({ description: 'As it was.' })
  before?: unknown;

  @ApiPropertyOptional({ description: 'As it is.' })
  after?: unknown;
}

export class RevisionSummaryDto {
  @ApiProperty({ type: String, example: 'main' })
  name!: string;

  @ApiProperty({ type: 'integer', minimum: 1 })
  revision!: number;

  @ApiProperty({ type: String, description: 'SHA-256 of the source.' })
  digest!: string;

  @ApiProperty({ type: String, description: 'Name of the API key that wrote it.' })
  author!: string;

  @ApiPropertyOptional({ type: [String], description: 'Everybody who changed its draft.' })
  contributors?: readonly string[];

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiPropertyOptional({ type: String, description: 'Where its author keeps it, such as a Git commit.' })
  sourceCommit?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: Boolean, description: 'Whether gateways judge by this revision.' })
  live!: boolean;
}

export class RevisionDto extends RevisionSummaryDto {
  @ApiProperty({ type: 'object', additionalProperties: true, description: 'The policy as a JSON document.' })
  document!: unknown;

  @ApiProperty({ type: String, description: 'The policy as its author wrote it: YAML or JSON, comments included.' })
  source!: string;
}

export class LivePolicyDto extends RevisionDto {
  @ApiProperty({ type: ReleaseDto })
  release!: ReleaseDto;
}

export class RevisionPageDto {
  @ApiProperty({ type: [RevisionSummaryDto] })
  data!: RevisionSummaryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class CheckResultDto {
  @ApiProperty({ type: Boolean, description: 'Always true: a policy that is not is answered with 422.' })
  ok!: true;

  @ApiProperty({ type: [FindingDto], description: 'Warnings and notes.' })
  findings!: readonly FindingDto[];
}

export class PublishResultDto {
  @ApiPropertyOptional({ type: 'integer', description: 'The live revision; absent for a dry run of the first policy.' })
  revision?: number;

  @ApiPropertyOptional({ type: 'integer', description: 'The revision that was live before.' })
  previous?: number;

  @ApiPropertyOptional({ type: 'integer', description: 'The release that made it live.' })
  release?: number;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'It must be confirmed before then.' })
  confirmBy?: string;

  @ApiProperty({ type: String })
  digest!: string;

  @ApiProperty({ type: Boolean, description: 'False when this policy is live already, or for a dry run would be.' })
  changed!: boolean;

  @ApiProperty({ type: Boolean })
  dryRun!: boolean;

  @ApiProperty({ type: [FindingDto], description: 'Warnings and notes.' })
  findings!: readonly FindingDto[];

  @ApiPropertyOptional({ type: String, description: 'Of a dry run: unified diff against the live text.' })
  diff?: string;

  @ApiPropertyOptional({ type: [PolicyChangeDto], description: 'Of a dry run: what would change, entry by entry.' })
  changes?: readonly PolicyChangeDto[];
}

export class BlameDto {
  @ApiProperty({ type: String, description: 'Section and name, as in explanations: `rcpt/leaver`.' })
  rule!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'As this revision has it.' })
  value!: unknown;

  @ApiProperty({ type: RevisionSummaryDto, description: 'The revision since which it reads so.' })
  changed!: RevisionSummaryDto;

  @ApiPropertyOptional({
    type: RevisionSummaryDto,
    description: 'The revision since which it is there, whatever it said; absent when that lies too far back.',
  })
  introduced?: RevisionSummaryDto;
}

export class RulePath {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Number of the revision.' })
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(2_147_483_647)
  revision!: number;

  @ApiProperty({ type: String, enum: SECTION_NAMES, description: 'Phase of a rule, or another section.' })
  @IsIn(SECTION_NAMES)
  section!: string;

  @ApiProperty({ type: String })
  @IsString()
  @MaxLength(200)
  name!: string;
}

export class RevisionPath {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Number of the revision.' })
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(2_147_483_647)
  revision!: number;
}

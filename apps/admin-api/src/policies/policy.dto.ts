import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { MAX_REASON_LENGTH } from '../http/reason.js';

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

  @ApiPropertyOptional({ type: String })
  reason?: string;

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

  @ApiProperty({ type: String })
  digest!: string;

  @ApiProperty({ type: Boolean, description: 'False when this policy is live already, or for a dry run would be.' })
  changed!: boolean;

  @ApiProperty({ type: Boolean })
  dryRun!: boolean;

  @ApiProperty({ type: [FindingDto], description: 'Warnings and notes.' })
  findings!: readonly FindingDto[];
}

export class DryRunQuery {
  @ApiPropertyOptional({
    type: String,
    enum: ['true', 'false'],
    description: '`true`: everything is checked, nothing changes.',
  })
  @IsOptional()
  @IsIn(['true', 'false'])
  dryRun?: 'true' | 'false';
}

export class RevisionPath {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Number of the revision.' })
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(2_147_483_647)
  revision!: number;
}

export class ReleaseRequest {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'An existing revision: an older one rolls back.' })
  @IsInt()
  @Min(1)
  @Max(2_147_483_647)
  revision!: number;

  @ApiPropertyOptional({ type: String, maxLength: MAX_REASON_LENGTH })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_REASON_LENGTH)
  reason?: string;
}

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min } from 'class-validator';
import { MAX_REASON_LENGTH } from '../../http/reason.js';
import { FindingDto, PolicyChangeDto } from '../policy.dto.js';

const MAX_TITLE = 200;
const MAX_NUMBER = 2_147_483_647;

export class DraftSummaryDto {
  @ApiProperty({ type: String, example: 'drf_01JD0000000000000000000000' })
  id!: string;

  @ApiPropertyOptional({ type: String })
  title?: string;

  @ApiProperty({ type: 'integer', description: 'Newest revision when it was begun or rebased; 0 for none.' })
  base!: number;

  @ApiProperty({ type: String, description: 'SHA-256 of the source: what approvals are bound to.' })
  digest!: string;

  @ApiProperty({ type: [String], description: 'Who wrote it.' })
  editors!: readonly string[];

  @ApiProperty({ type: String })
  createdBy!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String })
  updatedBy!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  updatedAt!: string;
}

export class DraftDto extends DraftSummaryDto {
  @ApiProperty({ type: String, description: 'YAML or JSON, comments included. Need not be valid.' })
  source!: string;
}

export class DraftPageDto {
  @ApiProperty({ type: [DraftSummaryDto] })
  data!: DraftSummaryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class NewDraftRequest {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'Revision whose text it begins with; the live one unless given.',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_NUMBER)
  revision?: number;

  @ApiPropertyOptional({ type: String, maxLength: MAX_TITLE, description: 'What it is about.' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_TITLE)
  title?: string;
}

export class CommitRequest {
  @ApiPropertyOptional({ type: String, maxLength: MAX_REASON_LENGTH, description: 'Why; kept with the revision.' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_REASON_LENGTH)
  reason?: string;

  @ApiPropertyOptional({
    type: String,
    maxLength: 200,
    description: 'Where its author keeps it, such as a Git commit.',
  })
  @IsOptional()
  @Matches(/^[\x21-\x7e]{1,200}$/u, { message: 'sourceCommit must be at most 200 printable characters without blanks' })
  sourceCommit?: string;
}

export class ValidationDto {
  @ApiProperty({ type: Boolean, description: 'Whether it could be published.' })
  ok!: boolean;

  @ApiProperty({ type: String })
  digest!: string;

  @ApiProperty({ type: [FindingDto] })
  findings!: readonly object[];
}

export class SemanticDiffDto {
  @ApiProperty({ type: String, description: 'What it is compared with.' })
  against!: string;

  @ApiProperty({ type: [PolicyChangeDto] })
  changes!: readonly PolicyChangeDto[];
}

export class DiffQuery {
  @ApiPropertyOptional({
    type: String,
    default: 'live',
    description: '`live`, `base`, or the number of a revision.',
  })
  @IsOptional()
  @Matches(/^(?:live|base|[1-9]\d{0,8})$/u, { message: 'against must be `live`, `base` or the number of a revision' })
  against?: string;

  @ApiPropertyOptional({ type: String, enum: ['text', 'semantic'], default: 'text' })
  @IsOptional()
  @IsIn(['text', 'semantic'])
  format?: 'text' | 'semantic';
}

export class DraftPath {
  @ApiProperty({ type: String, description: '`drf_…`' })
  @IsString()
  @MaxLength(40)
  draft!: string;
}

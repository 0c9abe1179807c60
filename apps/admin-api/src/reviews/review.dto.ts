import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, MaxLength } from 'class-validator';
import { PageQuery } from '../http/page.dto.js';

export class ReviewSearch extends PageQuery {
  @ApiPropertyOptional({ type: String, description: 'Only this review queue.' })
  @IsOptional()
  @IsString()
  @MaxLength(64)
  queue?: string;
}

export class ReviewPath {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000' })
  @IsString()
  @MaxLength(40)
  id!: string;
}

export class ReviewRequestDto {
  @ApiProperty({ type: String, enum: ['release', 'reject', 'return', 'discard'] })
  action!: string;

  @ApiProperty({ type: String })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;
}

export class ReviewSummaryDto {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000', description: 'Of the recipient.' })
  id!: string;

  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  transaction!: string;

  @ApiProperty({ type: String, example: 'review' })
  queue!: string;

  @ApiProperty({ type: String, description: 'Rule that holds it.', example: 'message/risky-attachment' })
  rule!: string;

  @ApiProperty({ type: String })
  sender!: string;

  @ApiProperty({ type: String })
  recipient!: string;

  @ApiPropertyOptional({ type: String })
  subject?: string;

  @ApiProperty({ type: 'integer' })
  sizeBytes!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  heldAt!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'Then the review queue’s `on-expire` is done.' })
  expiresAt!: string;

  @ApiPropertyOptional({
    type: String,
    description: 'What the rule would have answered, had all recipients got the same answer (`mixed-verdicts`).',
  })
  insteadOf?: string;

  @ApiPropertyOptional({ type: String, description: 'Why the last release did not succeed.' })
  kept?: string;

  @ApiPropertyOptional({ type: ReviewRequestDto, description: 'Asked for, not carried out yet.' })
  requested?: ReviewRequestDto;
}

class ReviewFieldDto {
  @ApiProperty({ type: String, example: 'from' })
  name!: string;

  @ApiProperty({ type: String })
  value!: string;
}

export class ReviewDto extends ReviewSummaryDto {
  @ApiProperty({ type: [ReviewFieldDto], description: 'Header fields, decoded.' })
  header!: ReviewFieldDto[];

  @ApiProperty({
    type: String,
    description: 'Beginning of the first text part, without markup and control characters.',
  })
  text!: string;
}

export class ReviewPageDto {
  @ApiProperty({ type: [ReviewSummaryDto] })
  data!: ReviewSummaryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class ReviewOutcomeDto {
  @ApiProperty({ type: String })
  id!: string;

  @ApiProperty({
    type: String,
    enum: ['released', 'returned', 'discarded', 'kept', 'requested'],
    description:
      '`kept`: the policy in force does not let it through. `requested`: no gateway has carried it out within seconds; it will.',
  })
  outcome!: string;

  @ApiPropertyOptional({ type: String, description: 'Why it was kept.' })
  kept?: string;

  @ApiPropertyOptional({ type: Boolean, description: 'Nothing was done: it would come to this.' })
  dryRun?: boolean;
}

export { ReviewFieldDto };

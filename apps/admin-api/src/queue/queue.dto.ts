import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsISO8601, IsOptional, IsString, MaxLength } from 'class-validator';
import { PageQuery } from '../http/page.dto.js';

export const QUEUE_STATES = ['queued', 'delivering', 'deferred', 'held', 'suspended', 'broken'] as const;

/** Criteria of which all must hold. In a query, and in the filter of a change of many. */
export class QueueSearch extends PageQuery {
  @ApiPropertyOptional({ type: String, enum: QUEUE_STATES })
  @IsOptional()
  @IsIn(QUEUE_STATES)
  state?: (typeof QUEUE_STATES)[number];

  @ApiPropertyOptional({ type: String, description: 'Only this route.' })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  route?: string;

  @ApiPropertyOptional({ type: String, description: 'Domain of the recipient.' })
  @IsOptional()
  @IsString()
  @MaxLength(255)
  domain?: string;

  @ApiPropertyOptional({ type: String, description: 'Address of the recipient, as it is delivered to.' })
  @IsOptional()
  @IsString()
  @MaxLength(998)
  recipient?: string;

  @ApiPropertyOptional({ type: String, description: 'Reverse path; `<>` is the null sender.' })
  @IsOptional()
  @IsString()
  @MaxLength(998)
  sender?: string;

  @ApiPropertyOptional({ type: String })
  @IsOptional()
  @IsString()
  @MaxLength(255)
  senderDomain?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Accepted then or later.' })
  @IsOptional()
  @IsISO8601({ strict: true })
  'at.gte'?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Accepted before.' })
  @IsOptional()
  @IsISO8601({ strict: true })
  'at.lt'?: string;
}

export class HoldDto {
  @ApiProperty({ type: String })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;
}

export class QueueEntryDto {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  transaction!: string;

  @ApiPropertyOptional({ type: String, description: 'Reverse path; empty is the null sender.' })
  sender?: string;

  @ApiProperty({ type: String })
  recipient!: string;

  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({
    type: String,
    enum: QUEUE_STATES,
    description:
      '`delivering`: a gateway has it. `suspended`: its destination is. `broken`: set aside, see `lastReply`.',
  })
  state!: string;

  @ApiProperty({ type: 'integer', description: 'Attempts made.' })
  attempts!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  acceptedAt!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  nextAttemptAt!: string;

  @ApiPropertyOptional({ type: String, description: 'What the last attempt was answered.' })
  lastReply?: string;

  @ApiPropertyOptional({ type: String, description: 'It waits in this review queue for a person.' })
  reviewQueue?: string;

  @ApiPropertyOptional({ type: HoldDto, description: 'An operator holds it.' })
  hold?: HoldDto;

  @ApiPropertyOptional({ type: String, description: 'Given up: what the notice to its sender will say.' })
  givenUp?: string;
}

export class QueuePageDto {
  @ApiProperty({ type: [QueueEntryDto] })
  data!: QueueEntryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

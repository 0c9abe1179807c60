import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, MaxLength } from 'class-validator';
import { PageQuery } from '../http/page.dto.js';

export class QueueSearch extends PageQuery {
  @ApiPropertyOptional({ type: String, description: 'Only this route.' })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  route?: string;
}

export class QueueEntryDto {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  transaction!: string;

  @ApiProperty({ type: String })
  recipient!: string;

  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({ type: String, enum: ['queued', 'delivering', 'deferred', 'held', 'broken'] })
  state!: string;

  @ApiProperty({ type: 'integer', description: 'Attempts made.' })
  attempts!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  acceptedAt!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  nextAttemptAt!: string;

  @ApiPropertyOptional({ type: String, description: 'What the last attempt was answered.' })
  lastReply?: string;
}

export class QueuePageDto {
  @ApiProperty({ type: [QueueEntryDto] })
  data!: QueueEntryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

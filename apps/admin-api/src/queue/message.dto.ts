import { ApiProperty, ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsBoolean, IsIn, IsObject, IsOptional, IsString, MaxLength, ValidateNested } from 'class-validator';
import { OperationDto } from '../operations/operation.dto.js';
import { QueueEntryDto, QueueSearch } from './queue.dto.js';

const OUTCOMES = ['changed', 'unchanged', 'refused', 'busy', 'gone'];

export class MessagePath {
  @ApiProperty({
    type: String,
    example: 'txn_01JD0000000000000000000000',
    description: '`txn_…` for a message with all its recipients in the queue, `rcp_…` for one recipient.',
  })
  @IsString()
  @MaxLength(40)
  message!: string;
}

class MessageEventDto {
  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;

  @ApiProperty({ type: String, example: 'queue.held' })
  kind!: string;

  @ApiPropertyOptional({ type: String })
  recipient?: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'As in docs/audit.md.' })
  data!: Record<string, unknown>;
}

export class MessageDto {
  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  id!: string;

  @ApiPropertyOptional({ type: String, description: 'Reverse path; empty is the null sender.' })
  sender?: string;

  @ApiProperty({ type: [QueueEntryDto], description: 'Those still in the queue.' })
  recipients!: QueueEntryDto[];

  @ApiProperty({
    type: [MessageEventDto],
    description:
      'What happened to it since it was accepted: attempts, notices, what people did. `GET /v1/transactions/{txn}` tells all.',
  })
  history!: MessageEventDto[];
}

export class PlaceDto {
  @ApiProperty({ type: String, description: 'As in the queue; `expiring`: given up, its sender is about to be told.' })
  state!: string;

  @ApiProperty({ type: String })
  recipient!: string;

  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({ type: 'integer' })
  attempts!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  nextAttemptAt!: string;
}

export class ChangedRecipientDto {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({
    type: String,
    enum: OUTCOMES,
    description: '`busy`: it is being delivered right now and stays as it is. `gone`: it was delivered meanwhile.',
  })
  outcome!: string;

  @ApiPropertyOptional({ type: String, description: 'Why it was refused.' })
  why?: string;

  @ApiPropertyOptional({ type: PlaceDto })
  before?: PlaceDto;

  @ApiPropertyOptional({ type: PlaceDto, description: 'Absent when it is not in the queue any more.' })
  after?: PlaceDto;
}

export class ChangedMessageDto {
  @ApiProperty({ type: String })
  id!: string;

  @ApiProperty({ type: Boolean })
  dryRun!: boolean;

  @ApiProperty({ type: [ChangedRecipientDto] })
  recipients!: ChangedRecipientDto[];
}

export class RerouteRequest {
  @ApiPropertyOptional({
    type: String,
    description: 'A route of the policy in force. Without it the routing rules of the policy in force choose.',
  })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  route?: string;
}

export class RedirectRequest extends RerouteRequest {
  @ApiProperty({
    type: String,
    description: 'Of an accepted domain, or an address that the policy itself sends mail to.',
  })
  @IsString()
  @MaxLength(998)
  to!: string;
}

export class QueueFilterDto extends OmitType(QueueSearch, ['limit', 'after'] as const) {}

export class ManyRequest {
  @ApiPropertyOptional({
    type: QueueFilterDto,
    description: 'Which recipients; at least one criterion, all must hold.',
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => QueueFilterDto)
  filter?: QueueFilterDto;

  @ApiPropertyOptional({ type: Boolean, description: 'Instead of a filter: the whole queue.' })
  @IsOptional()
  @IsBoolean()
  @IsIn([true])
  all?: true;
}

export class ManyRerouteRequest extends ManyRequest {
  @ApiPropertyOptional({ type: String, description: 'As for one message.' })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  route?: string;
}

export class ManyRedirectRequest extends ManyRerouteRequest {
  @ApiProperty({ type: String, description: 'As for one message.' })
  @IsString()
  @MaxLength(998)
  to!: string;
}

/** What a change of many would do. */
export class ManyDryRunDto {
  @ApiProperty({ type: Boolean })
  dryRun!: boolean;

  @ApiProperty({ type: 'integer', description: 'Recipients that fit the filter.' })
  matched!: number;

  @ApiProperty({ type: [ChangedRecipientDto], description: 'What would become of the first of them.' })
  sample!: ChangedRecipientDto[];
}

export { OperationDto };

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsRFC3339, IsString, MaxLength } from 'class-validator';
import { PageQuery } from '../http/page.dto.js';
import { RecipientDto } from './recipient.dto.js';

const VERDICTS = ['accepted', 'refused', 'abandoned'] as const;
const TIME_MESSAGE = { message: '$property must be a time such as `2026-12-31T12:00:00Z`' };

export class TransactionSearch extends PageQuery {
  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'From this time on.' })
  @IsOptional()
  @IsRFC3339(TIME_MESSAGE)
  'at.gte'?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Before this time.' })
  @IsOptional()
  @IsRFC3339(TIME_MESSAGE)
  'at.lt'?: string;

  @ApiPropertyOptional({ type: String, description: 'Reverse path; `<>` is the null sender.' })
  @IsOptional()
  @IsString()
  @MaxLength(320)
  sender?: string;

  @ApiPropertyOptional({ type: String, description: 'Domain of the reverse path.' })
  @IsOptional()
  @IsString()
  @MaxLength(255)
  senderDomain?: string;

  @ApiPropertyOptional({ type: String, description: 'One of the recipients.' })
  @IsOptional()
  @IsString()
  @MaxLength(320)
  recipient?: string;

  @ApiPropertyOptional({ type: String, description: 'Address of the client, or a network such as `192.0.2.0/24`.' })
  @IsOptional()
  @IsString()
  @MaxLength(50)
  ip?: string;

  @ApiPropertyOptional({ type: String, description: 'Name of the listener.' })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  listener?: string;

  @ApiPropertyOptional({ type: String, enum: VERDICTS })
  @IsOptional()
  @IsIn(VERDICTS)
  verdict?: (typeof VERDICTS)[number];

  @ApiPropertyOptional({
    type: String,
    description: 'Rule that decided the transaction or a recipient.',
    example: 'rcpt/leaver',
  })
  @IsOptional()
  @IsString()
  @MaxLength(200)
  rule?: string;

  @ApiPropertyOptional({ type: String, description: 'Message-ID header, as it was written.' })
  @IsOptional()
  @IsString()
  @MaxLength(1000)
  messageId?: string;
}

export class TransactionPath {
  @ApiProperty({ type: String, description: '`txn_…`, or the trace from a reply.' })
  @IsString()
  @MaxLength(40)
  txn!: string;
}

export class TransactionSummaryDto {
  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, description: 'The id as replies to the client showed it.' })
  trace!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;

  @ApiProperty({ type: String, enum: VERDICTS })
  verdict!: string;

  @ApiProperty({ type: String, description: 'Rule that decided the whole transaction; empty when none did.' })
  by!: string;

  @ApiProperty({ type: String, description: 'Reverse path; empty is the null sender.' })
  sender!: string;

  @ApiProperty({ type: [String], description: 'Where mail goes to, after rewriting.' })
  recipients!: string[];

  @ApiPropertyOptional({ type: String, description: 'Address of the client.' })
  ip?: string;

  @ApiProperty({ type: String, description: 'Client of the policy, or `none`.' })
  client!: string;

  @ApiProperty({ type: String })
  listener!: string;

  @ApiProperty({ type: 'integer', description: 'Policy revision that judged.' })
  revision!: number;

  @ApiPropertyOptional({ type: String, description: 'Last reply, as sent.' })
  reply?: string;

  @ApiPropertyOptional({ type: String, description: 'Why it ended without acceptance.' })
  reason?: string;

  @ApiPropertyOptional({ type: String })
  messageId?: string;

  @ApiPropertyOptional({ type: String })
  subject?: string;

  @ApiPropertyOptional({ type: 'integer' })
  sizeBytes?: number;
}

export class TransactionPageDto {
  @ApiProperty({ type: [TransactionSummaryDto] })
  data!: TransactionSummaryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

class SessionDto {
  @ApiPropertyOptional({ type: String, example: 'ses_01JD0000000000000000000000' })
  id?: string;

  @ApiProperty({ type: String })
  listener!: string;

  @ApiPropertyOptional({ type: String })
  ip?: string;

  @ApiProperty({ type: 'integer' })
  port!: number;

  @ApiProperty({ type: String })
  helo!: string;

  @ApiProperty({ type: String, enum: ['SMTP', 'ESMTP'] })
  protocol!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Absent while the session lasts.' })
  endedAt?: string;

  @ApiPropertyOptional({ type: String })
  endReason?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'integer' },
    description: 'Commands, errors, transactions, octets.',
  })
  counters?: Record<string, number>;
}

class EnvelopeDto {
  @ApiProperty({ type: String, description: 'Empty is the null sender.' })
  sender!: string;

  @ApiPropertyOptional({ type: 'integer', description: 'SIZE parameter.' })
  sizeBytes?: number;

  @ApiPropertyOptional({ type: String, enum: ['7BIT', '8BITMIME'] })
  body?: string;
}

class MessageDto {
  @ApiProperty({ type: 'integer' })
  sizeBytes!: number;

  @ApiProperty({ type: String, description: 'SHA-256 of the content as received, hex.' })
  digest!: string;

  @ApiPropertyOptional({ type: String })
  messageId?: string;

  @ApiPropertyOptional({ type: String })
  from?: string;

  @ApiPropertyOptional({ type: String })
  subject?: string;
}

class DecisionDto {
  @ApiProperty({ type: String })
  policy!: string;

  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiProperty({ type: String })
  digest!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'integer' },
    description: 'Revision of each managed list.',
  })
  lists!: Record<string, number>;

  @ApiProperty({ type: String, description: 'Client of the policy, or `none`.' })
  client!: string;

  @ApiProperty({ type: String, description: 'Rule that decided the whole transaction; empty when none did.' })
  by!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'Facts that all recipients shared.' })
  facts!: Record<string, unknown>;
}

class EventDto {
  @ApiProperty({ type: String, example: 'evt_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;

  @ApiProperty({ type: String, example: 'delivery.succeeded' })
  kind!: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'Of `queue.…` and `review.…`: who, why, before and after, as in docs/audit.md.',
  })
  data?: Record<string, unknown>;
}

export class TransactionDto {
  @ApiProperty({ type: String })
  id!: string;

  @ApiProperty({ type: String })
  trace!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'When it ended.' })
  at!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'MAIL FROM.' })
  startedAt!: string;

  @ApiProperty({ type: String, enum: VERDICTS })
  verdict!: string;

  @ApiPropertyOptional({ type: String, description: 'Last reply, as sent.' })
  reply?: string;

  @ApiPropertyOptional({ type: String, description: 'Why it ended without acceptance.' })
  reason?: string;

  @ApiProperty({ type: SessionDto })
  session!: SessionDto;

  @ApiProperty({ type: EnvelopeDto })
  envelope!: EnvelopeDto;

  @ApiPropertyOptional({ type: MessageDto })
  message?: MessageDto;

  @ApiProperty({ type: DecisionDto })
  decision!: DecisionDto;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description:
      'Evidence for the facts of mail authentication, where they were asked for: `spf`, `dkim` (one for each signature), `dmarc`, `arc`, each with result, domain, record as published and why.',
  })
  authentication?: object;

  @ApiProperty({ type: [RecipientDto] })
  recipients!: RecipientDto[];

  @ApiPropertyOptional({
    type: String,
    description: 'The client sent the same octets with the same envelope within an hour before: this transaction.',
  })
  probableDuplicateOf?: string;

  @ApiPropertyOptional({ type: [String], description: 'The client sent it again, as these.' })
  resentAs?: string[];

  @ApiProperty({ type: [EventDto], description: 'Everything recorded about it, in order.' })
  events!: EventDto[];
}

export { DecisionDto, EnvelopeDto, EventDto, MessageDto, SessionDto };

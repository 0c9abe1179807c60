import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Max, Min } from 'class-validator';

const VERDICTS = ['accept', 'reject', 'defer', 'hold', 'discard'];
const LARGEST_REVISION = 2_147_483_647;

export class ExplainQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'Judge the same facts by this revision of the policy instead of the recorded one.',
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(LARGEST_REVISION)
  againstRevision?: number;
}

class JudgedByDto {
  @ApiProperty({ type: String })
  policy!: string;

  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiProperty({ type: String })
  digest!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'integer' },
    description: 'Revision of each managed list that was asked.',
  })
  lists!: Record<string, number>;
}

class BecauseDto {
  @ApiProperty({ type: String, enum: ['when', 'unless'] })
  part!: string;

  @ApiProperty({ type: String, description: 'As the policy writes it.', example: 'sender.domain: our-domains' })
  condition!: string;

  @ApiProperty({ type: String, example: 'sender.domain' })
  fact!: string;

  @ApiPropertyOptional({
    description: 'Value of the fact; left out when it is absent.',
    oneOf: [
      { type: 'string' },
      { type: 'number' },
      { type: 'boolean' },
      { type: 'array', items: { type: 'string' } },
      { type: 'object', properties: { unknown: { type: 'string' } } },
    ],
  })
  value?: unknown;

  @ApiProperty({ oneOf: [{ type: 'boolean' }, { type: 'string', enum: ['unknown'] }] })
  result!: boolean | 'unknown';

  @ApiPropertyOptional({ type: String, description: 'List that has the value.' })
  in?: string;

  @ApiPropertyOptional({ type: String, description: 'Entry that covers the value.' })
  entry?: string;
}

class StepDto {
  @ApiProperty({ type: String, enum: ['connect', 'helo', 'mail', 'rcpt', 'message', 'routing'] })
  phase!: string;

  @ApiPropertyOptional({
    type: String,
    enum: ['client', 'senders', 'rewriting', 'relay', 'recipients', 'redirect', 'class', 'copies', 'signing'],
    description: 'What is asked between the rules; left out for a rule.',
  })
  step?: string;

  @ApiProperty({ type: String, description: 'Rule, client or builtin.', example: 'rcpt/leaver' })
  rule!: string;

  @ApiProperty({ oneOf: [{ type: 'boolean' }, { type: 'string', enum: ['unknown', 'expired', 'overridden'] }] })
  result!: boolean | 'unknown' | 'expired' | 'overridden';

  @ApiPropertyOptional({ type: String, description: 'What it did; for a monitoring rule, what it would have done.' })
  effect?: string;

  @ApiPropertyOptional({ type: Boolean, description: 'Present for a rule that only monitors.' })
  monitor?: boolean;

  @ApiProperty({ type: [BecauseDto] })
  because!: BecauseDto[];
}

class SharedDecisionDto {
  @ApiProperty({ type: String, enum: VERDICTS })
  verdict!: string;

  @ApiProperty({ type: String, description: 'Rule that decided; empty when none did.' })
  by!: string;

  @ApiPropertyOptional({ type: String, description: 'Reply of a refusal.' })
  reply?: string;

  @ApiProperty({ type: [StepDto] })
  steps!: StepDto[];
}

class ExplainedAddressDto {
  @ApiProperty({ type: String, description: 'As the client gave it.' })
  original!: string;

  @ApiProperty({ type: String, description: 'After rewriting.' })
  final!: string;
}

class IntroducedDto {
  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiProperty({ type: String })
  author!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiPropertyOptional({ type: String, description: 'Where its author keeps the policy, such as a Git commit.' })
  sourceCommit?: string;
}

class AddedRecipientDto {
  @ApiProperty({ type: String })
  address!: string;

  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({ type: String, description: 'Rule that added it.' })
  by!: string;
}

class ExplainedRecipientDto {
  @ApiProperty({ type: ExplainedAddressDto })
  recipient!: ExplainedAddressDto;

  @ApiProperty({ type: String, enum: VERDICTS })
  verdict!: string;

  @ApiProperty({ type: String, description: 'Rule that decided; empty when none did.' })
  by!: string;

  @ApiPropertyOptional({ type: String, description: 'Reply of a refusal.' })
  reply?: string;

  @ApiPropertyOptional({ type: String })
  route?: string;

  @ApiPropertyOptional({ type: String, description: 'Review queue, for `hold`.' })
  queue?: string;

  @ApiPropertyOptional({ type: [AddedRecipientDto], description: 'Who gets the mail besides.' })
  added?: AddedRecipientDto[];

  @ApiProperty({ type: [String], description: 'What would have led to another decision, and to which.' })
  wouldChangeIf!: string[];

  @ApiPropertyOptional({ type: IntroducedDto, description: 'Since when the rule that decided reads as it does.' })
  introduced?: IntroducedDto;

  @ApiProperty({ type: [StepDto], description: 'From RCPT TO on; those before are under `mail`.' })
  steps!: StepDto[];
}

class DifferenceDto {
  @ApiPropertyOptional({ type: String, description: 'Recipient as given; left out for the transaction as a whole.' })
  recipient?: string;

  @ApiProperty({
    type: String,
    enum: ['client', 'verdict', 'by', 'reply', 'final', 'route', 'queue', 'header', 'added'],
  })
  field!: string;

  @ApiProperty({ type: String, description: 'Empty when there was none.' })
  recorded!: string;

  @ApiProperty({ type: String, description: 'Empty when there is none.' })
  recomputed!: string;
}

export class ExplanationDto {
  @ApiProperty({ type: String, example: 'txn_01JD0000000000000000000000' })
  transaction!: string;

  @ApiProperty({ type: String })
  trace!: string;

  @ApiProperty({ type: JudgedByDto, description: 'What this explanation judged by.' })
  decidedBy!: JudgedByDto;

  @ApiProperty({ type: String, description: 'Client of the policy, or `none`.' })
  client!: string;

  @ApiProperty({ type: SharedDecisionDto, description: 'Up to MAIL FROM: what all recipients share.' })
  mail!: SharedDecisionDto;

  @ApiProperty({ type: [ExplainedRecipientDto] })
  recipients!: ExplainedRecipientDto[];

  @ApiProperty({ type: [String], description: 'The same in English.' })
  text!: string[];

  @ApiProperty({ type: Boolean, description: 'Whether this is the decision that was recorded.' })
  same!: boolean;

  @ApiProperty({ type: [DifferenceDto], description: 'Where it is not.' })
  differences!: DifferenceDto[];
}

export {
  AddedRecipientDto,
  BecauseDto,
  DifferenceDto,
  ExplainedAddressDto,
  ExplainedRecipientDto,
  IntroducedDto,
  JudgedByDto,
  SharedDecisionDto,
  StepDto,
};

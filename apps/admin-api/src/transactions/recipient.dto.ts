import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

export class AttemptTlsDto {
  @ApiPropertyOptional({ type: String, example: 'TLSv1.3', description: 'Absent: the session was not encrypted.' })
  version?: string;

  @ApiPropertyOptional({ type: String })
  cipher?: string;

  @ApiProperty({ type: Boolean, description: 'The certificate is valid for the host.' })
  verified!: boolean;

  @ApiPropertyOptional({ type: String, description: "SHA-256 of the next hop's certificate." })
  fingerprint?: string;

  @ApiPropertyOptional({ type: String, description: 'Why it is not encrypted, or not verified.' })
  why?: string;
}

export class AttemptDto {
  @ApiProperty({ type: 'integer' })
  attempt!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;

  @ApiProperty({ type: String, enum: ['delivered', 'deferred', 'failed', 'expired', 'lease-lost', 'uncertain'] })
  outcome!: string;

  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({ type: 'integer', description: "Policy revision of the route's definition." })
  routeRevision!: number;

  @ApiProperty({ type: String, description: 'Next hop; for files the path of what was written.' })
  host!: string;

  @ApiPropertyOptional({ type: String })
  address?: string;

  @ApiPropertyOptional({ type: 'integer' })
  port?: number;

  @ApiProperty({
    type: String,
    description:
      'What produced the outcome: connect, banner, ehlo, tls, auth, mail, rcpt, data, content, file, dns, policy.',
  })
  stage!: string;

  @ApiProperty({ type: String, description: "The remote's reply, or what happened instead of one." })
  reply!: string;

  @ApiPropertyOptional({ type: 'integer' })
  code?: number;

  @ApiPropertyOptional({ type: String })
  enhanced?: string;

  @ApiPropertyOptional({ type: AttemptTlsDto, description: 'Where the route asks for TLS: what came of it.' })
  tls?: AttemptTlsDto;

  @ApiPropertyOptional({ type: [String], example: ['example.com/s1'], description: 'Keys it left signed with (DKIM).' })
  signed?: readonly string[];

  @ApiPropertyOptional({ type: String, description: 'Why it left without a signature that it was to have.' })
  unsigned?: string;

  @ApiPropertyOptional({ type: String, description: 'Key of the ARC seal it left with.' })
  sealed?: string;

  @ApiPropertyOptional({ type: String, description: 'Why it left without a seal that it was to have.' })
  unsealed?: string;

  @ApiProperty({ type: 'integer' })
  tookMs!: number;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  nextAttemptAt?: string;
}

export class HeaderChangeDto {
  @ApiProperty({ type: String, enum: ['set', 'add', 'remove'] })
  op!: string;

  @ApiProperty({ type: String, example: 'X-Origin' })
  name!: string;

  @ApiPropertyOptional({ type: String })
  value?: string;
}

export class RecipientDto {
  @ApiProperty({ type: String, example: 'rcp_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, description: 'As the client gave it.' })
  original!: string;

  @ApiProperty({ type: String, description: 'After rewriting.' })
  address!: string;

  @ApiProperty({ type: String, enum: ['accept', 'reject', 'defer', 'hold', 'discard'] })
  verdict!: string;

  @ApiProperty({ type: String, description: 'Rule that decided; empty when none did.' })
  by!: string;

  @ApiProperty({
    type: String,
    description: 'Reply to RCPT TO, or to the content where that refused the recipient; empty for an added recipient.',
  })
  reply!: string;

  @ApiPropertyOptional({
    type: String,
    description: 'Reply to the content, the last word about a recipient that RCPT TO had accepted.',
  })
  finalReply?: string;

  @ApiPropertyOptional({ type: String })
  route?: string;

  @ApiPropertyOptional({ type: String, description: 'Review queue, for `hold`.' })
  queue?: string;

  @ApiPropertyOptional({
    type: String,
    description: 'What it would have been answered, had all recipients got the same answer (`mixed-verdicts`).',
  })
  insteadOf?: string;

  @ApiPropertyOptional({ type: String, description: 'Rule that added it; the client never named it.' })
  addedBy?: string;

  @ApiPropertyOptional({ type: [HeaderChangeDto], description: 'Changes to the header of its mail.' })
  header?: HeaderChangeDto[];

  @ApiPropertyOptional({
    type: [String],
    description: 'Keys that were to sign its mail when it was accepted, `domain/selector`.',
  })
  signatures?: readonly string[];

  @ApiPropertyOptional({ type: String, description: 'Key that was to seal it (ARC).' })
  seal?: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'Facts that only this recipient had.' })
  facts!: Record<string, unknown>;

  @ApiProperty({
    type: String,
    enum: [
      'refused',
      'queued',
      'delivering',
      'deferred',
      'held',
      'broken',
      'delivered',
      'failed',
      'expired',
      'discarded',
      'uncertain',
    ],
  })
  state!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  nextAttemptAt?: string;

  @ApiProperty({ type: [AttemptDto] })
  attempts!: AttemptDto[];
}

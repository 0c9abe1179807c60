import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsString, MaxLength } from 'class-validator';

const STATES = ['active', 'draining', 'drained', 'stopped'] as const;

export class GatewayPath {
  @ApiProperty({ type: String, description: 'Name of the node.' })
  @IsString()
  @MaxLength(255)
  gateway!: string;
}

export class RefusedPolicyDto {
  @ApiProperty({ type: 'integer', description: 'The released revision.' })
  revision!: number;

  @ApiProperty({ type: String, description: 'Why, for the operator: a port that is taken, a file that is missing.' })
  reason!: string;
}

export class DrainDto {
  @ApiProperty({ type: String })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  since!: string;
}

export class LastErrorDto {
  @ApiProperty({ type: String })
  message!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;
}

export class GatewayDto {
  @ApiProperty({ type: String, description: 'Name of the node.' })
  name!: string;

  @ApiProperty({ type: Boolean, description: 'Whether it reported in time.' })
  alive!: boolean;

  @ApiProperty({
    type: String,
    enum: STATES,
    description: '`drained`: it was told to drain, and nothing is in flight any more: it may be stopped.',
  })
  state!: (typeof STATES)[number];

  @ApiPropertyOptional({
    type: DrainDto,
    description: 'An operator wants it to take no new sessions and nothing more from the queue.',
  })
  drain?: DrainDto;

  @ApiPropertyOptional({ type: 'integer', description: 'Open sessions, as it said some seconds ago.' })
  sessions?: number;

  @ApiPropertyOptional({ type: 'integer', description: 'Outbound transactions that wait or run in it, likewise.' })
  jobs?: number;

  @ApiPropertyOptional({ type: LastErrorDto, description: 'The last error in its log since it started.' })
  lastError?: LastErrorDto;

  @ApiPropertyOptional({
    type: 'integer',
    description: 'Policy revision it loaded last.',
  })
  revision?: number;

  @ApiPropertyOptional({ type: String, description: 'Digest of that revision.' })
  digest?: string;

  @ApiPropertyOptional({
    type: RefusedPolicyDto,
    description: 'A released policy that it cannot use; it keeps the one it runs.',
  })
  refused?: RefusedPolicyDto;

  @ApiPropertyOptional({
    type: String,
    format: 'date-time',
    description: 'Since when it counts for the limits of the policy alone, as it can not share its counts.',
  })
  limitsAloneSince?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  startedAt!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'When it stopped, or was found dead.' })
  stoppedAt?: string;
}

export class GatewayPageDto {
  @ApiProperty({ type: [GatewayDto] })
  data!: GatewayDto[];
}

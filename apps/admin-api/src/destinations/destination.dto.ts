import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

export class DestinationPath {
  @ApiProperty({ type: String, example: 'example.net', description: 'Domain of the recipients.' })
  @IsString()
  @MaxLength(255)
  domain!: string;
}

export class DestinationListQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 500, default: 100 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit = 100;
}

export class SuspensionDto {
  @ApiProperty({ type: String })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  since!: string;
}

export class DestinationSummaryDto {
  @ApiProperty({ type: String, example: 'example.net' })
  domain!: string;

  @ApiProperty({ type: 'integer', description: 'Recipients in the queue.' })
  recipients!: number;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  oldestAcceptedAt?: string;

  @ApiPropertyOptional({ type: SuspensionDto, description: 'Mail is accepted and waits.' })
  suspended?: SuspensionDto;
}

export class DestinationPageDto {
  @ApiProperty({ type: [DestinationSummaryDto], description: 'Suspended ones first, then those with most mail.' })
  data!: DestinationSummaryDto[];
}

export class ReplyCountDto {
  @ApiProperty({ type: String })
  reply!: string;

  @ApiProperty({ type: 'integer' })
  recipients!: number;
}

export class DestinationDto extends DestinationSummaryDto {
  @ApiProperty({ type: 'object', additionalProperties: { type: 'integer' }, description: 'Recipients by state.' })
  states!: Record<string, number>;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'integer' }, description: 'Recipients by route.' })
  routes!: Record<string, number>;

  @ApiProperty({ type: [ReplyCountDto], description: 'What last attempts were answered, the most frequent first.' })
  lastReplies!: ReplyCountDto[];

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  nextAttemptAt?: string;
}

export class ResolveRequest {
  @ApiPropertyOptional({
    type: String,
    description: 'Routed as mail to this address; `postmaster` of the domain without it.',
  })
  @IsOptional()
  @IsString()
  @MaxLength(998)
  recipient?: string;

  @ApiPropertyOptional({
    type: String,
    description: 'Reverse path, where routing asks for it; the null sender without it.',
  })
  @IsOptional()
  @IsString()
  @MaxLength(998)
  sender?: string;
}

class RoutedDto {
  @ApiProperty({ type: 'integer', description: 'Policy revision of this gateway.' })
  revision!: number;

  @ApiProperty({ type: String })
  verdict!: string;

  @ApiProperty({ type: String, description: 'After rewriting.' })
  recipient!: string;

  @ApiPropertyOptional({ type: String })
  route?: string;

  @ApiPropertyOptional({ type: String, description: 'A fact that routing asks for and that is not known here.' })
  unknown?: string;
}

class ResolvedHostDto {
  @ApiProperty({ type: String })
  host!: string;

  @ApiProperty({ type: String })
  address!: string;

  @ApiProperty({ type: 'integer' })
  port!: number;

  @ApiProperty({ type: 'integer', description: 'Lower is preferred.' })
  priority!: number;

  @ApiProperty({ type: Number })
  weight!: number;

  @ApiPropertyOptional({ type: String, description: 'Address of this gateway that it is reached from.' })
  source?: string;

  @ApiProperty({ type: 'integer', description: 'Open now, from this gateway.' })
  connections!: number;

  @ApiProperty({
    type: String,
    enum: ['ready', 'resting', 'suspect'],
    description: '`resting`: left alone after failures. `suspect`: its rest is over, one connection will probe it.',
  })
  health!: string;

  @ApiProperty({ type: 'integer', description: 'Failures in a row.' })
  failures!: number;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  restsUntil?: string;

  @ApiPropertyOptional({ type: String, description: 'What it failed with.' })
  lastReply?: string;
}

class ResolvedMxDto {
  @ApiProperty({ type: String, enum: ['found', 'none', 'no-domain', 'failed'] })
  kind!: string;

  @ApiPropertyOptional({ type: 'array', items: { type: 'object', additionalProperties: true } })
  values?: Record<string, unknown>[];

  @ApiPropertyOptional({ type: String })
  message?: string;
}

class ResolvedRouteDto {
  @ApiProperty({ type: String })
  route!: string;

  @ApiProperty({ type: 'integer', description: 'Policy revision that defines it.' })
  revision!: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'As the policy in force has it: kind, hosts, TLS, AUTH (the name of the secret), source, retry.',
  })
  definition!: Record<string, unknown>;

  @ApiPropertyOptional({ type: ResolvedMxDto, description: 'What the DNS says, where the route asks it.' })
  mx?: ResolvedMxDto;

  @ApiProperty({
    type: [ResolvedHostDto],
    description: 'In the order in which they are asked; equals share by weight.',
  })
  hosts!: ResolvedHostDto[];

  @ApiPropertyOptional({ type: String, description: 'Why there is no host to ask.' })
  fault?: string;

  @ApiProperty({ type: 'integer', description: 'Transactions that wait or run at this gateway.' })
  jobs!: number;
}

class GatewayViewDto {
  @ApiProperty({ type: String })
  gateway!: string;

  @ApiProperty({ type: Boolean })
  suspended!: boolean;

  @ApiPropertyOptional({ type: RoutedDto, description: 'How its policy routes such mail.' })
  decision?: RoutedDto;

  @ApiProperty({
    type: [ResolvedRouteDto],
    description: 'That route, and those that queued mail for the domain names.',
  })
  routes!: ResolvedRouteDto[];

  @ApiProperty({ type: [String], description: 'Routes that queued mail names and the policy does not have.' })
  missing!: string[];
}

export class ResolvedDto {
  @ApiProperty({ type: String })
  domain!: string;

  @ApiProperty({ type: [GatewayViewDto] })
  gateways!: GatewayViewDto[];

  @ApiProperty({ type: [String], description: 'Gateways that live and did not answer in time.' })
  unanswered!: string[];
}

export { GatewayViewDto, ResolvedHostDto, ResolvedRouteDto };

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

export class RefusedPolicyDto {
  @ApiProperty({ type: 'integer', description: 'The released revision.' })
  revision!: number;

  @ApiProperty({ type: String, description: 'Why, for the operator: a port that is taken, a file that is missing.' })
  reason!: string;
}

export class GatewayDto {
  @ApiProperty({ type: String, description: 'Name of the node.' })
  name!: string;

  @ApiProperty({ type: Boolean, description: 'Whether it reported in time.' })
  alive!: boolean;

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

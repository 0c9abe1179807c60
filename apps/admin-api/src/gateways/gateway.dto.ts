import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

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

  @ApiProperty({ type: String, format: 'date-time' })
  startedAt!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'When it stopped, or was found dead.' })
  stoppedAt?: string;
}

export class GatewayPageDto {
  @ApiProperty({ type: [GatewayDto] })
  data!: GatewayDto[];
}

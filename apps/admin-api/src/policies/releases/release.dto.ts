import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { MAX_REASON_LENGTH } from '../../http/reason.js';
import { CONFIRM_WITHIN, IsSpan } from '../confirm-within.js';
import { ReleaseDto } from '../policy.dto.js';

const MAX_NUMBER = 2_147_483_647;

export class ReleaseGatewayDto {
  @ApiProperty({ type: String })
  name!: string;

  @ApiPropertyOptional({ type: 'integer', description: 'Revision it judges by.' })
  revision?: number;

  @ApiProperty({ type: String, enum: ['runs', 'behind', 'refuses'] })
  state!: string;

  @ApiPropertyOptional({ type: String, description: 'Why it does not take the revision.' })
  reason?: string;
}

export class ReleaseEndDto {
  @ApiProperty({ type: String, enum: ['confirmed', 'aborted', 'lapsed'] })
  kind!: string;

  @ApiProperty({ type: String, description: '`system` where nobody confirmed it in time.' })
  actor!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  at!: string;
}

export class ReleaseSummaryDto extends ReleaseDto {
  @ApiProperty({
    type: String,
    enum: ['live', 'awaiting-confirmation', 'superseded', 'aborted', 'lapsed'],
    description: '`live` and `awaiting-confirmation` are in force.',
  })
  state!: string;

  @ApiPropertyOptional({ type: ReleaseEndDto, description: 'What became of one that had to be confirmed.' })
  end?: ReleaseEndDto;
}

export class ReleaseStatusDto extends ReleaseSummaryDto {
  @ApiProperty({ type: Boolean, description: 'In force, and every gateway that is alive judges by it.' })
  complete!: boolean;

  @ApiProperty({ type: [ReleaseGatewayDto], description: 'Those that are alive, while the release is in force.' })
  gateways!: ReleaseGatewayDto[];
}

export class ReleasePageDto {
  @ApiProperty({ type: [ReleaseSummaryDto] })
  data!: ReleaseSummaryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class ReleasePath {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Number of the release.' })
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_NUMBER)
  release!: number;
}

export class ReleaseRequest {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'An existing revision: an older one rolls back.' })
  @IsInt()
  @Min(1)
  @Max(MAX_NUMBER)
  revision!: number;

  @ApiPropertyOptional({ type: String, maxLength: MAX_REASON_LENGTH })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_REASON_LENGTH)
  reason?: string;

  @ApiPropertyOptional({ type: String, example: '10m', description: CONFIRM_WITHIN })
  @IsOptional()
  @IsString()
  @IsSpan()
  confirmWithin?: string;
}

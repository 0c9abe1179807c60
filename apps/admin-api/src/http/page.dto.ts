import { ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

const MAX_PAGE = 500;
const LIMIT = { message: `limit must be a whole number from 1 to ${String(MAX_PAGE)}` };

/** Which part of a long list is asked for. */
export class PageQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_PAGE,
    default: 100,
    description: 'Most entries in one answer.',
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt(LIMIT)
  @Min(1, LIMIT)
  @Max(MAX_PAGE, LIMIT)
  limit = 100;

  @ApiPropertyOptional({
    type: String,
    description: 'Cursor: the `next` of the answer before. Opaque, stable while entries are added.',
  })
  @IsOptional()
  @IsString()
  @MaxLength(1000)
  after?: string;
}

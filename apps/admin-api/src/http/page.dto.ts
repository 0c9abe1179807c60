import { ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

export const MAX_PAGE = 500;

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
  @IsInt()
  @Min(1)
  @Max(MAX_PAGE)
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

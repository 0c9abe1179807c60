import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiPropertyOptional, ApiQuery } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';

/** Of a change that can be tried first. */
export class DryRunQuery {
  @ApiPropertyOptional({
    type: String,
    enum: ['true', 'false'],
    default: 'false',
    description: 'Find out everything, change nothing.',
  })
  @IsOptional()
  @IsIn(['true', 'false'])
  dryRun?: 'true' | 'false';
}

export const TRIED_FIRST = 'postern:tried-first';

/** A change that can be tried first, and takes no other query: `dryRun` comes with the `Change`. */
export function CanBeTried(): MethodDecorator {
  return applyDecorators(
    SetMetadata(TRIED_FIRST, true),
    ApiQuery({
      name: 'dryRun',
      required: false,
      enum: ['true', 'false'],
      description: 'Everything is checked, by the database too, and undone; the answer has the header `Dry-Run: true`.',
    }),
  );
}

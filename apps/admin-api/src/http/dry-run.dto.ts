import { ApiPropertyOptional } from '@nestjs/swagger';
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

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsString, MaxLength } from 'class-validator';

const STATES = ['running', 'succeeded', 'failed', 'cancelled', 'interrupted'];

export class OperationDto {
  @ApiProperty({ type: String, example: 'opr_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, description: 'What is done, such as `list.import`.' })
  kind!: string;

  @ApiProperty({ type: String, description: 'Who asked for it.' })
  actor!: string;

  @ApiProperty({
    type: String,
    enum: STATES,
    description: '`interrupted`: the admin API ended meanwhile; ask for it again.',
  })
  state!: string;

  @ApiProperty({ type: 'integer', description: 'How much is done, in the unit of the work: entries, messages.' })
  done!: number;

  @ApiPropertyOptional({ type: 'integer', description: 'How much there is, where that is known.' })
  total?: number;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'What it came to, when it succeeded.',
  })
  result?: Record<string, unknown>;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'Problem details (RFC 9457), when it failed.',
  })
  problem?: Record<string, unknown>;

  @ApiPropertyOptional({ type: String, description: 'Who asked it to stop.' })
  cancelRequestedBy?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  startedAt!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  endedAt?: string;
}

export class OperationPageDto {
  @ApiProperty({ type: [OperationDto] })
  data!: OperationDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class OperationPath {
  @ApiProperty({ type: String, description: '`opr_…`' })
  @IsString()
  @MaxLength(40)
  operation!: string;
}

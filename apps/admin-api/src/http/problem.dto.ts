import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional, ApiResponse } from '@nestjs/swagger';
import { PROBLEMS, type ProblemKey } from './problem.js';

/** One thing that is wrong. */
export class ProblemErrorDto {
  @ApiProperty({ type: String, description: 'What kind of fault; for policies the code of the finding.' })
  code!: string;

  @ApiProperty({ type: String })
  message!: string;

  @ApiPropertyOptional({ type: String, description: 'JSON pointer (RFC 6901) to what it is about.' })
  pointer?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, description: 'Line in the text that was sent.' })
  line?: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 1 })
  column?: number;

  @ApiPropertyOptional({ type: String, enum: ['blocks', 'warns', 'info'] })
  severity?: string;

  @ApiPropertyOptional({ type: String, description: 'What to write instead.' })
  fix?: string;
}

/** RFC 9457 problem details. */
export class ProblemDto {
  @ApiProperty({ type: String, example: 'urn:postern:problem:policy-refused' })
  type!: string;

  @ApiProperty({ type: String })
  title!: string;

  @ApiProperty({ type: 'integer' })
  status!: number;

  @ApiProperty({ type: String })
  detail!: string;

  @ApiProperty({ type: String, description: 'Finds this request in the log.' })
  trace!: string;

  @ApiPropertyOptional({ type: [ProblemErrorDto] })
  errors?: ProblemErrorDto[];
}

/** Documents problems of an operation; those that every operation with a key can answer need no naming. */
export function ApiProblems(...keys: readonly ProblemKey[]): MethodDecorator {
  const all: readonly ProblemKey[] = [
    'unauthenticated',
    'forbidden',
    'invalid-request',
    ...keys,
    'database-unavailable',
  ];
  const titles = new Map<number, string[]>();
  for (const key of new Set(all)) {
    const { status, title } = PROBLEMS[key];
    titles.set(status, [...(titles.get(status) ?? []), title]);
  }
  return applyDecorators(
    ...[...titles].map(([status, texts]) =>
      ApiResponse({
        status,
        description: texts.join('; '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/ProblemDto' } } },
      }),
    ),
  );
}

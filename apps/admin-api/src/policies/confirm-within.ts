import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Matches } from 'class-validator';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { invalidRequest } from '../http/validation.js';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LONGEST_MS = 7 * 86_400_000;
const MESSAGE = 'must be a span from `1s` to `7d`, such as `10m`';

export function IsSpan(): PropertyDecorator {
  return Matches(/^[1-9]\d{0,5}[smhd]$/u, { message: `confirmWithin ${MESSAGE}` });
}

export const CONFIRM_WITHIN =
  'It is in force so long only, unless somebody confirms it: then the release before it is in force again, whatever happens to this API.';

/** Of a change that takes effect at once. */
export class PublishQuery extends DryRunQuery {
  @ApiPropertyOptional({ type: String, example: '10m', description: CONFIRM_WITHIN })
  @IsOptional()
  @IsString()
  @IsSpan()
  confirmWithin?: string;
}

/** Milliseconds. */
export function spanMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Number(text.slice(0, -1)) * (UNITS_MS[text.slice(-1)] ?? Number.NaN);
  if (ms <= LONGEST_MS) return ms;
  const message = `\`confirmWithin\` ${MESSAGE}`;
  throw invalidRequest([{ code: 'invalid-field', pointer: '/confirmWithin', message }]);
}

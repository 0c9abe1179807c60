import { ValidationPipe, type Type, type ValidationError } from '@nestjs/common';
import { Problem, pointer, type ProblemError } from './problem.js';

/**
 * The one pipe for bodies, queries and path parameters: what a DTO does not name is an error, not ignored. `expected`: of
 * an argument whose type says nothing.
 */
export function validationPipe(expected?: Type): ValidationPipe {
  return new ValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    transform: true,
    ...(expected !== undefined && { expectedType: expected }),
    stopAtFirstError: true,
    exceptionFactory: (faults) => invalidRequest(faults.flatMap((fault) => errorsOf(fault, []))),
  });
}

export function invalidRequest(errors: readonly ProblemError[]): Problem {
  const first = errors[0]?.message ?? 'the request cannot be read';
  const more = errors.length > 1 ? `, and ${String(errors.length - 1)} more` : '';
  return new Problem('invalid-request', `${first}${more}`, errors);
}

function errorsOf(fault: ValidationError, above: readonly string[]): readonly ProblemError[] {
  const path = [...above, fault.property];
  const children = (fault.children ?? []).flatMap((child) => errorsOf(child, path));
  const own = Object.entries(fault.constraints ?? {}).map(([rule, message]) => errorOf(rule, message, path));
  return [...own, ...children];
}

function errorOf(rule: string, message: string, path: readonly string[]): ProblemError {
  const name = path.join('.').slice(0, 100);
  if (rule === 'whitelistValidation') {
    return { code: 'unknown-field', pointer: pointer(path), message: `unknown field \`${name}\`` };
  }
  if (rule === 'unknownValue') {
    return { code: 'invalid-field', pointer: '', message: 'expected a JSON object' };
  }
  // class-validator starts its sentences with the property's name.
  const rest = message.startsWith(`${path.at(-1) ?? ''} `) ? message.slice((path.at(-1) ?? '').length + 1) : message;
  return { code: 'invalid-field', pointer: pointer(path), message: `\`${name}\` ${rest}` };
}

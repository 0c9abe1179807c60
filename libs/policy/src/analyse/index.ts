/** What is wrong, or odd, about a document whose parts are all well-formed. */
import type { CompileContext } from '../compile/context.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';

export function analyse(_context: CompileContext, _policy: CompiledPolicy, _findings: Findings): void {
  // families follow
}

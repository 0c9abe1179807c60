/**
 * A policy document → a policy that can judge, or every reason why not.
 *
 * `compile` reads, checks and analyses; `check` also runs the document's tests and invariants, as a publish must.
 */
import { analyse } from './analyse/index.js';
import { explore } from './analyse/explore.js';
import { reportExpired, reportOwnerless } from './analyse/metadata.js';
import type { CompiledPolicy, CompileResult } from './compiled.js';
import { compileInvariants, compileTests } from './compile/expectations.js';
import { CompileContext } from './compile/context.js';
import { compileCopies, compileEffects, compileReviewQueues } from './compile/effects.js';
import { compileLists } from './compile/lists.js';
import { compileClients, compileDomains, compileRewriting, firstDomain } from './compile/parties.js';
import { compileLimitProfiles, limitTable } from './compile/limits.js';
import { neededFacts, usedFacts } from './compile/needed-facts.js';
import { compileListenerPrograms, compileListeners } from './compile/listeners.js';
import { compileNotices } from './compile/notices.js';
import { compileAuditDays, compileLimits, compilePostmasterDomain } from './compile/places.js';
import { compileRetry, compileRoutes, compileTlsProfiles } from './compile/routes.js';
import { compileAcl, compileRouting } from './compile/rules.js';
import { compileAuthservId, compileSigning, recordedFacts } from './compile/signing.js';
import type { PolicyDocument } from './document.js';
import { shapeDocument } from './document-faults.js';
import { Findings } from './findings.js';
import type { Program } from './program.js';
import { readFiles, type PolicyFile } from './join.js';
import { readText, type ReadResult } from './read-yaml.js';
import { buildRuleIndex, type RuleIndex } from './rule-index.js';
import { testPolicy } from './run-tests.js';
import type { Finding, ManagedListDefinition } from './types.js';
import { ACL_PHASES, factNamed, type AclPhase } from './vocabulary.js';

/** Reads and compiles; findings that block make it fail. Text is YAML or JSON, anything else a document as a value. */
export function compile(input: unknown): CompileResult {
  return build(input);
}

/** `compile`, then the document's own tests and invariants (V1 blocks); with `nowMs`, what has expired is told as well. */
export function check(input: unknown, nowMs?: number): CompileResult {
  return build(input, { nowMs });
}

/** `compile` of files that together are one policy; findings name the file. */
export function compileFiles(files: readonly PolicyFile[]): CompileResult {
  return buildRead(readFiles(files));
}

/** `check` of files that together are one policy; findings name the file. */
export function checkFiles(files: readonly PolicyFile[], nowMs?: number): CompileResult {
  return buildRead(readFiles(files), { nowMs });
}

export type ReadPolicyResult =
  | { readonly ok: true; readonly document: PolicyDocument }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Only reads, and checks the shape. */
export function readPolicy(text: string): ReadPolicyResult {
  const read = readText(text);
  if (!read.ok) return read;
  const findings = new Findings(read.locate);
  const { document, complete } = shapeDocument(read.value, findings);
  return complete && document !== undefined ? { ok: true, document } : { ok: false, findings: findings.list() };
}

/**
 * For proofs only: the policy, whatever the analyser says of it, so that the judge can be asked whether it is right.
 * Undefined when there is no policy to judge by.
 */
export function compileUnproven(input: unknown): CompiledPolicy | undefined {
  const { document } = shapeDocument(input, new Findings());
  const findings = new Findings();
  if (document === undefined) return undefined;
  const policy = compileParts(new CompileContext(document, input, findings, true));
  return findings.isBlocking() ? undefined : policy;
}

/** What `check` does beyond compiling. */
interface Checks {
  readonly nowMs: number | undefined;
}

function build(input: unknown, checks?: Checks): CompileResult {
  const read =
    typeof input === 'string' ? readText(input) : { ok: true as const, value: input, locate: () => undefined };
  return buildRead(read, checks);
}

function buildRead(read: ReadResult, checks?: Checks): CompileResult {
  if (!read.ok) return read;
  const findings = new Findings(read.locate);
  const { document, complete } = shapeDocument(read.value, findings);
  if (document === undefined) return { ok: false, findings: findings.list() };
  const context = new CompileContext(document, read.value, findings, complete);
  const policy = compileParts(context);
  analyse(context, policy, findings);
  if (checks !== undefined && !findings.isBlocking()) {
    testPolicy(policy, findings);
    explore(policy, findings);
    reportOwnerless(document, findings);
    if (checks.nowMs !== undefined) reportExpired(policy, checks.nowMs, findings);
  }
  return findings.isBlocking()
    ? { ok: false, findings: findings.list() }
    : { ok: true, policy, findings: findings.list() };
}

function compileParts(context: CompileContext): CompiledPolicy {
  compileLists(context);
  const listeners = compileListeners(context);
  const clients = compileClients(context);
  const domains = compileDomains(context);
  const acl = compileAcl(context, (rule, pointer) => compileEffects(context, rule, pointer, domains));
  const rewriting = compileRewriting(context, domains);
  const routing = compileRouting(context);
  const copies = compileCopies(context);
  const retryProfiles = compileRetry(context);
  const routes = compileRoutes(context, { retry: retryProfiles, tls: compileTlsProfiles(context) });
  const signing = compileSigning(context, 'signing');
  const sealing = compileSigning(context, 'sealing');
  const recorded = recordedFacts(context);
  const limits = compileLimits(context);
  const limitProfiles = compileLimitProfiles(context);
  const auditDays = compileAuditDays(context);
  const notices = compileNotices(context);
  const table = limitTable(limitProfiles);
  const postmasterDomain = compilePostmasterDomain(context, domains, firstDomain(context, domains));
  const tests = compileTests(context);
  const invariants = compileInvariants(context);
  const routingIndex = buildRuleIndex(routing, context.slots);
  const program: Program = {
    listeners: compileListenerPrograms(context, listeners),
    lists: context.slots,
    clients,
    domains,
    acl,
    aclIndex: indexRules(acl, context.slots),
    rewriting,
    routing,
    ...(routingIndex === undefined ? {} : { routingIndex }),
    copies,
    signing,
    sealing,
    ...(table === undefined ? {} : { limits: table }),
    mixedVerdicts: context.document.settings?.['mixed-verdicts'] ?? 'hold',
    ...(postmasterDomain === undefined ? {} : { postmasterDomain }),
    tests,
    invariants,
  };
  return {
    name: context.document.policy,
    description: context.document.description ?? '',
    listeners,
    managedLists: managedLists(context),
    routes,
    retryProfiles,
    limits,
    ...(auditDays === undefined ? {} : { auditDays }),
    notices,
    limitProfiles,
    mixedVerdicts: program.mixedVerdicts,
    signing: [...signing, ...sealing].map(({ signature, pointer }) => ({ ...signature, pointer })),
    ...compileAuthservId(context),
    reviewQueues: compileReviewQueues(context),
    ...contentNeeds(program, recorded),
    usedFacts: usedFacts(program),
    neededFacts: neededFacts(program, recorded),
    program,
  };
}

function indexRules(acl: Program['acl'], lists: Program['lists']): Program['aclIndex'] {
  const indexes: Partial<Record<AclPhase, RuleIndex>> = {};
  for (const phase of ACL_PHASES) {
    const index = buildRuleIndex(acl[phase], lists);
    if (index !== undefined) indexes[phase] = index;
  }
  return indexes;
}

function managedLists(context: CompileContext): readonly ManagedListDefinition[] {
  return context.slots.flatMap((slot) =>
    slot.inline !== undefined || slot.type === 'regex'
      ? []
      : [
          {
            name: slot.name,
            type: slot.type,
            ...(slot.within === undefined ? {} : { within: slot.within }),
            ...(slot.deny ? { use: 'deny' as const } : {}),
          },
        ],
  );
}

/** Present when there are message rules, or facts of the content are wanted on record: those that are asked for. */
function contentNeeds({ acl }: Program, recorded: readonly string[]): { readonly contentFacts?: ReadonlySet<string> } {
  const ruled = acl.message.flatMap((rule) => [...rule.when, ...rule.unless].map(({ fact }) => fact.name));
  const isOfContent = (name: string): boolean => factNamed(name)?.phase === 'message';
  if (acl.message.length === 0 && !recorded.some(isOfContent)) return {};
  return { contentFacts: new Set([...ruled, ...recorded].filter(isOfContent)) };
}

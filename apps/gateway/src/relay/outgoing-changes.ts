/** What was decided and found out about mail that leaves → the changes that are stored with it. */
import type { FieldEdit, HeaderChange, ResultsChange, SealChange } from '#delivery';
import { formatAuthenticationResults, type MailAuthResults } from '#mail-auth';
import type { CompiledPolicy, RecipientDecision, SigningKeyUse } from '#policy';

/** What was found out about who sent a message, and under which name that is told. */
export interface Findings {
  readonly authservId: string;
  /** Absent: nothing was looked at. */
  readonly authentication?: MailAuthResults;
  /** Fields that came under our name are removed even where nothing was looked at: the policy claims the name. */
  readonly claimed: boolean;
}

export function findingsAbout(
  { authservId }: CompiledPolicy,
  hostname: string,
  authentication: MailAuthResults | undefined,
): Findings {
  return {
    authservId: authservId ?? hostname,
    claimed: authservId !== undefined,
    ...(authentication !== undefined && { authentication }),
  };
}

type Leaving = Pick<RecipientDecision, 'signatures' | 'seal'> & { readonly headers?: readonly FieldEdit[] | undefined };

/** Undefined: it leaves as it came. */
export function outgoingChanges(
  { headers, signatures, seal }: Leaving,
  findings?: Findings,
): readonly HeaderChange[] | undefined {
  const results = findings === undefined ? undefined : resultsChange(findings);
  if (results === undefined && signatures === undefined && seal === undefined) return headers;
  return [
    ...(headers ?? []),
    ...(results === undefined ? [] : [results]),
    ...(signatures ?? []).map((signature) => ({ op: 'sign' as const, ...signature })),
    ...(seal === undefined || findings === undefined ? [] : [sealChange(seal, findings)]),
  ];
}

function resultsChange({ authservId, authentication, claimed }: Findings): ResultsChange | undefined {
  if (authentication === undefined) return claimed ? { op: 'results', authservId } : undefined;
  return { op: 'results', authservId, value: formatAuthenticationResults(authservId, authentication) };
}

function sealChange(seal: SigningKeyUse, { authservId, authentication = {} }: Findings): SealChange {
  const { arc } = authentication;
  const chain = arc === undefined || arc.result === 'temperror' ? 'unknown' : arc.result;
  return { op: 'seal', ...seal, chain, results: formatAuthenticationResults(authservId, authentication) };
}

/** `example.com/s1`: as policies name it. */
export function signatureName({ domain, selector }: Pick<SigningKeyUse, 'domain' | 'selector'>): string {
  return `${domain}/${selector}`;
}

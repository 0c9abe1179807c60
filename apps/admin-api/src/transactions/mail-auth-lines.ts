import type { RecordedMailAuth } from '#audit';

/** What was found out about who sent the message, one line for each check: result, of whom, why, and the record that says so. */
export function mailAuthLines({ spf, dkim, dmarc, arc }: RecordedMailAuth = {}): readonly string[] {
  return [
    ...(spf === undefined ? [] : [spfLine(spf)]),
    ...(dkim === undefined ? [] : dkim.length === 0 ? ['dkim: none, the message is not signed'] : dkim.map(dkimLine)),
    ...(dmarc === undefined ? [] : [dmarcLine(dmarc)]),
    ...(arc === undefined ? [] : [arcLine(arc)]),
  ];
}

function line(method: string, result: string, parts: readonly (string | undefined)[]): string {
  return [`${method}: ${result}`, ...parts.filter((part) => part !== undefined && part !== '')].join(', ');
}

function published(record: string | undefined): string | undefined {
  return record === undefined ? undefined : `record \`${record}\``;
}

function spfLine(spf: NonNullable<RecordedMailAuth['spf']>): string {
  const { result, identity, domain, sender, clientAddress, mechanism, lookUps, why, record } = spf;
  const whose = identity === 'helo' ? `HELO ${domain}` : sender;
  return line('spf', result, [
    `${clientAddress} for ${whose}`,
    mechanism === undefined ? undefined : `by \`${mechanism}\``,
    why,
    `${String(lookUps)} look-ups`,
    published(record),
  ]);
}

function dkimLine(signature: NonNullable<RecordedMailAuth['dkim']>[number]): string {
  const { result, domain, selector, algorithm, keyBits, testing, why, record } = signature;
  return line('dkim', result, [
    domain === '' ? undefined : `domain ${domain}`,
    selector === '' ? undefined : `selector ${selector}`,
    algorithm,
    keyBits === undefined ? undefined : `${String(keyBits)} bits`,
    testing === true ? 'its owner is only trying (t=y)' : undefined,
    why,
    published(record),
  ]);
}

function dmarcLine(dmarc: NonNullable<RecordedMailAuth['dmarc']>): string {
  const { result, domain, organisationalDomain, aligned, policy, why, record, recordDomain } = dmarc;
  return line('dmarc', result, [
    domain === '' ? undefined : `From ${domain}`,
    organisationalDomain === domain ? undefined : `of ${organisationalDomain}`,
    aligned.length === 0 ? undefined : `aligned ${aligned.join(' and ')}`,
    policy === undefined ? undefined : `policy ${policy}`,
    why,
    record === undefined ? undefined : `${published(record) ?? ''} of ${recordDomain ?? domain}`,
  ]);
}

function arcLine({
  result,
  instances,
  sealers,
  why,
  authenticationResults,
}: NonNullable<RecordedMailAuth['arc']>): string {
  return line('arc', result, [
    instances === 0 ? undefined : `${String(instances)} sets`,
    sealers.length === 0 ? undefined : `sealed by ${sealers.join(', then ')}`,
    why,
    authenticationResults === undefined ? undefined : `the newest says \`${authenticationResults}\``,
  ]);
}

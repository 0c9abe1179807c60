/**
 * The checks of one transaction: SPF begun at MAIL, signatures while the content comes in, DMARC out of both after the final
 * dot. The evidence goes on record with the transaction, the facts to the policy.
 */
import type { DmarcCheck } from '#mail-auth';
import type { ScanReport } from '#mime';
import type { Facts } from '#policy';
import type { InboundTransaction } from '../inbound/inbound-session.js';
import type { MailAuth } from './mail-auth.js';
import { authorsOf, contentAuthFacts, evidenceOf, mailAuthNeeds } from './mail-auth-facts.js';

/** Facts of the content that are wanted, once all checks have ended; undefined where none is wanted. */
export function authenticate(
  mailAuth: Pick<MailAuth, 'dmarc'>,
  transaction: InboundTransaction,
  report: ScanReport | undefined,
): Promise<Facts> | undefined {
  const { signatures } = transaction;
  const { contentFacts: wanted } = transaction.policy.snapshot.policy;
  if (signatures === undefined || wanted === undefined) return undefined;
  return checked(mailAuth, transaction, report).then((found) => contentAuthFacts(wanted, found));
}

async function checked(
  mailAuth: Pick<MailAuth, 'dmarc'>,
  transaction: InboundTransaction,
  report: ScanReport | undefined,
): Promise<Parameters<typeof contentAuthFacts>[1]> {
  const [content, spf] = await Promise.all([transaction.signatures?.end(), transaction.spf]);
  const authors = report === undefined ? undefined : authorsOf(report);
  let dmarc: DmarcCheck | undefined;
  if (content?.ok === true && mailAuthNeeds(transaction.policy.snapshot.policy).dmarc) {
    dmarc = authors === undefined ? UNREAD : await mailAuth.dmarc({ authors, spf, dkim: content.dkim });
  }
  const found = { content: content ?? { ok: false, why: 'signatures were not looked at' }, dmarc };
  transaction.authentication = evidenceOf(spf, found);
  return found;
}

const UNREAD: DmarcCheck = {
  result: 'temperror',
  domain: '',
  organisationalDomain: '',
  aligned: [],
  why: 'the header is too large to be read',
};

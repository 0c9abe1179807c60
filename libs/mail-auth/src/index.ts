/** Who really sent this: SPF, DKIM, DMARC and ARC, checked. Pure: the DNS is asked through a port, the clock is an argument. */
export type {
  ArcCheck,
  ArcResult,
  DkimCheck,
  DkimResult,
  DmarcCheck,
  DmarcPolicy,
  DmarcResult,
  MailAuthResults,
  SpfCheck,
  SpfResult,
} from './results.js';
export { ContentCheck, type ContentResults } from './content-check.js';
export { checkDmarc, type Authors, type DmarcQuestion } from './dmarc.js';
export type { DnsReply, MailAuthDns, TextNames } from './dns.js';
export { organisationalDomain } from './organisational-domain.js';
export { checkSpf, type SpfQuestion } from './spf.js';
export { arcSeal, type ArcSealing, type ArcSealResult } from './arc-seal.js';
export {
  AUTHENTICATION_RESULTS,
  authservIdOf,
  claimsToBeFrom,
  formatAuthenticationResults,
} from './authentication-results.js';
export { BodyHash, relaxedField, type BodyForm } from './canonical.js';
export { dkimSignature, signedHeader, type ContentToSign, type Signer } from './dkim-sign.js';
export { foldField } from './fold.js';
export { fieldBody, rawField, readRawHeader, type RawField, type RawHeader } from './header-fields.js';
export {
  keyRecord,
  keyRecordName,
  readSigningKey,
  type SigningAlgorithm,
  type SigningKey,
  type SigningKeyResult,
} from './signing-key.js';

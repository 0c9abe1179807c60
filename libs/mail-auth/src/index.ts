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

/** Facts of mail authentication: who really sent a message, as SPF, DKIM, DMARC and ARC tell. Fetched only where asked for. */
import type { FactDefinition } from './fact-definition.js';

const domainLists = ['domain', 'regex'] as const;

export const SPF_FACT: FactDefinition = {
  name: 'spf',
  phase: 'mail',
  type: 'enum',
  values: ['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror'],
  lists: [],
  fetched: true,
  meaning:
    'whether the client may use the domain of the sender (RFC 7208), of its HELO for the null sender; unknown while the DNS does not answer',
  example: 'pass',
};

export const MAIL_AUTH_FACTS: readonly FactDefinition[] = [
  {
    name: 'dkim',
    phase: 'message',
    type: 'enum',
    values: ['pass', 'fail', 'policy', 'neutral', 'none', 'permerror'],
    lists: [],
    multiple: true,
    fetched: true,
    meaning:
      'results of all DKIM signatures (RFC 6376); `policy`: too weak to be believed, or more than are looked at; `none` without any',
    example: 'pass',
  },
  {
    name: 'dkim.domain',
    phase: 'message',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    multiple: true,
    fetched: true,
    meaning: 'domains (`d=`) whose signatures hold; absent when none does',
    example: '.partner.example',
  },
  {
    name: 'dmarc',
    phase: 'message',
    type: 'enum',
    values: ['pass', 'fail', 'none', 'permerror'],
    lists: [],
    fetched: true,
    meaning:
      'whether SPF or DKIM vouch for the domain in From (RFC 7489); `permerror`: there is not one author, or a record that can not be read',
    example: 'fail',
  },
  {
    name: 'dmarc.policy',
    phase: 'message',
    type: 'enum',
    values: ['none', 'quarantine', 'reject'],
    lists: [],
    fetched: true,
    meaning:
      'what the owner of the domain in From asks for mail that fails, by its own record or that of its organisational domain; absent without a record',
    example: '[reject, quarantine]',
  },
  {
    name: 'from.aligned',
    phase: 'message',
    type: 'enum',
    values: ['spf', 'dkim'],
    lists: [],
    multiple: true,
    fetched: true,
    meaning:
      'what vouches for the domain in From, whether it has a DMARC record or not; strictly where the record says so; absent when nothing does',
    example: 'dkim',
  },
  {
    name: 'arc',
    phase: 'message',
    type: 'enum',
    values: ['pass', 'fail', 'none'],
    lists: [],
    fetched: true,
    meaning: 'whether the ARC chain holds (RFC 8617)',
    example: 'pass',
  },
  {
    name: 'arc.sealer',
    phase: 'message',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    fetched: true,
    meaning:
      'domain of the newest seal of a chain that holds: who vouches for the message as it came to us; absent otherwise',
    example: 'trusted-sealers',
  },
];

/** What the command line of the bench says. */
import { parseArgs } from 'node:util';
import type { Load } from './measure.js';

export const HELP = `npm run bench -- [options]     needs Debian's postfix, and root to run it

  --runs N           runs of each variant, interleaved; the median counts   (default 3)
  --messages N       messages of a run on Postern with 50 sessions kept      (default 20000)
  --sessions N       sessions at the same time                               (default 50)
  --size N           octets of a message's body                              (default 4096)
  --variants LIST    of kept, single, one-session                            (default all)
  --peers LIST       of postern, postfix                                     (default both)
  --mail-auth        SPF and DKIM of every message asked for (Postern only)
  --write            put the table into docs/performance.md
`;

/** How many messages, relative to `--messages`, make a run of some seconds. */
const SHARES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  kept: { Postern: 1, Postfix: 0.2 },
  single: { Postern: 0.4, Postfix: 0.15 },
  'one-session': { Postern: 0.12, Postfix: 0.03 },
};

export interface BenchOptions {
  readonly runs: number;
  readonly messages: number;
  readonly sessions: number;
  readonly size: number;
  readonly variants: readonly string[];
  readonly peers: readonly string[];
  readonly write: boolean;
  readonly mailAuth: boolean;
}

export function readOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string', default: '3' },
      messages: { type: 'string', default: '20000' },
      sessions: { type: 'string', default: '50' },
      size: { type: 'string', default: '4096' },
      variants: { type: 'string', default: Object.keys(SHARES).join(',') },
      peers: { type: 'string' },
      'mail-auth': { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  if (values.help) return undefined;
  // Postfix has nothing of its own that checks signatures.
  const known = values['mail-auth'] ? ['postern'] : ['postern', 'postfix'];
  const variants = oneOf('variants', values.variants, Object.keys(SHARES));
  return {
    runs: positive('runs', values.runs),
    messages: positive('messages', values.messages),
    sessions: positive('sessions', values.sessions),
    size: positive('size', values.size),
    variants,
    peers: oneOf('peers', values.peers ?? known.join(','), known),
    mailAuth: values['mail-auth'],
    write: values.write,
  };
}

export function loadOf(variant: string, peer: string, options: BenchOptions): Load {
  return {
    messages: Math.max(100, Math.round(options.messages * (SHARES[variant]?.[peer] ?? 1))),
    sessions: variant === 'one-session' ? 1 : options.sessions,
    keepSessions: variant !== 'single',
    bodyBytes: options.size,
  };
}

function positive(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name}: expected a whole number from 1`);
  return Number(text);
}

function oneOf(name: string, text: string, known: readonly string[]): string[] {
  const wanted = text.split(',');
  const unknown = wanted.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new Error(`--${name}: \`${unknown}\` is not one of ${known.join(', ')}`);
  return wanted;
}

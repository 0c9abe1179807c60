import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { wholeNumber } from '../options.js';
import { fields, safe } from '../text.js';
import { factPairs, memberPair, type Pair } from './policy-offline.js';
import { joined } from './policy.js';

interface SimulateOptions {
  readonly given?: readonly Pair[];
  readonly member?: readonly Pair[];
  readonly message?: string;
  readonly cases?: string;
  readonly revision?: number;
  readonly draft?: string;
  readonly steps?: true;
}

interface SimulationAnswer {
  readonly decidedBy: { readonly policy: string; readonly revision: number };
  readonly cases: readonly {
    readonly name?: string;
    readonly client: string;
    readonly text: readonly string[];
    readonly recipients: readonly { readonly tags: readonly string[]; readonly wouldChangeIf: readonly string[] }[];
  }[];
}

/** What the server would do with mail that nobody sent: with its lists, and for policies that are not live yet. */
export function simulateCommand(policy: Command, context: CommandContext): void {
  policy
    .command('simulate')
    .argument('[file...]', 'policy files to ask instead of the live policy; joined when there are several')
    .description('ask the server what it would do with mail that nobody sent; changes nothing')
    .option('--given <facts>', '`listener=mx,ip=203.0.113.9,sender=a@x.example,…`; repeatable', factPairs)
    .option('--member <list=value>', 'members of a managed list instead of those it has; repeatable', memberPair)
    .option('--message <file>', 'a message, from which the facts of its content are read; `-` is standard input')
    .addOption(
      new Option('--cases <file>', 'many at once: a JSON list as in the API').conflicts(['given', 'member', 'message']),
    )
    .addOption(new Option('--revision <n>', 'ask this revision').argParser(wholeNumber).conflicts('draft'))
    .option('--draft <id>', 'ask this draft')
    .option('--steps', 'every step of every decision')
    .action((files: string[], options: SimulateOptions) => simulate(context, files, options));
}

async function simulate(context: CommandContext, files: readonly string[], options: SimulateOptions): Promise<void> {
  const { revision, draft, steps, cases: casesFile } = options;
  if (files.length > 0 && (revision ?? draft) !== undefined) {
    throw new CommandError(EXIT.usage, 'files, --revision and --draft exclude each other');
  }
  const cases = casesFile === undefined ? [oneCase(context, options)] : readCases(context, casesFile);
  const answer = await context.api().json<SimulationAnswer>({
    method: 'POST',
    path: '/v1/simulations',
    json: {
      ...(files.length > 0 && { document: await joined(context, files) }),
      ...(revision !== undefined && { revision }),
      ...(draft !== undefined && { draft }),
      cases,
      steps: steps === true || context.json(),
    },
  });
  show(context, answer, () => answer.cases.flatMap((one, index) => caseLines(answer, one, index)));
}

function oneCase(context: CommandContext, { given, member = [], message }: SimulateOptions): object {
  if (given === undefined) throw new CommandError(EXIT.usage, 'expected --given FACTS, or --cases FILE');
  const lists: Record<string, string[]> = {};
  for (const [list, value] of member) (lists[list] ??= []).push(value);
  return {
    given: factsOf(given),
    ...(member.length > 0 && { lists }),
    ...(message !== undefined && { message: { base64: context.octets(message).toString('base64') } }),
  };
}

/** `recipient` may come several times. */
function factsOf(given: readonly Pair[]): Readonly<Record<string, string | readonly string[]>> {
  const facts = new Map<string, string | readonly string[]>();
  for (const [name, text] of given) {
    const before = facts.get(name);
    if (before !== undefined && name !== 'recipient') {
      throw new CommandError(EXIT.usage, `fact \`${name}\` is given twice`);
    }
    facts.set(name, before === undefined ? text : [...(typeof before === 'string' ? [before] : before), text]);
  }
  return Object.fromEntries(facts);
}

function readCases(context: CommandContext, file: string): unknown {
  try {
    return JSON.parse(context.read(file)) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw new CommandError(EXIT.refused, `${file}: is not JSON`);
    throw error;
  }
}

function caseLines(
  { decidedBy, cases }: SimulationAnswer,
  { name, client, text, recipients }: SimulationAnswer['cases'][number],
  index: number,
): readonly string[] {
  const { policy, revision } = decidedBy;
  const title = name ?? (cases.length > 1 ? `case ${String(index + 1)}` : undefined);
  return [
    ...(index === 0 ? [] : ['']),
    ...fields([
      ...(title === undefined ? [] : [['case', title] as const]),
      ['judged by', revision === 0 ? policy : `${policy}, revision ${String(revision)}`],
      ['client', client],
    ]),
    '',
    ...text.map(safe),
    ...recipients.flatMap(({ wouldChangeIf }) =>
      wouldChangeIf.map((each) => safe(`would be decided otherwise if ${each}`)),
    ),
  ];
}

import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Finding, PolicyFile } from '#policy';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { filesField, FILES_HELP, foundLines, nameOf, policiesOf, readPolicyFiles, refused } from '../policy-files.js';
import { fields, safe } from '../text.js';

export type Pair = readonly [name: string, text: string];

interface ExplainOptions {
  readonly given: readonly Pair[];
  readonly member?: readonly Pair[];
}

interface FormatOptions {
  readonly write?: true;
  readonly check?: true;
}

/** What needs only files, no server. The compiler is loaded when one of them runs. */
export function offlinePolicyCommands(policy: Command, context: CommandContext): void {
  policy
    .command('test')
    .argument('<file...>', FILES_HELP)
    .description("run a policy's tests and invariants, without a server")
    .option('--each', 'every file is a policy of its own')
    .action((files: string[], options: { each?: true }) => testFiles(context, files, options.each === true));
  policy
    .command('explain')
    .argument('<file...>', FILES_HELP)
    .description('tell what a policy says to a transaction, and why, without a server')
    .requiredOption('--given <facts>', '`listener=mx,ip=203.0.113.9,sender=a@x.example,…`; repeatable', factPairs)
    .option('--member <list=value>', 'a member of a managed list, which else has none; repeatable', memberPair)
    .action((files: string[], options: ExplainOptions) => explainFiles(context, files, options));
  policy
    .command('fmt')
    .argument('<file...>', FILES_HELP)
    .description('lay a policy out in one way, comments kept; several files are printed as the one they make')
    .option('--write', 'change the files, each by itself')
    .addOption(new Option('--check', 'only say which of the files would change').conflicts('write'))
    .action((files: string[], options: FormatOptions) => formatFiles(context, files, options));
  policy
    .command('schema')
    .description('print the JSON Schema of policies, for editors and other programs')
    .action(() => printSchema(context));
}

async function printSchema(context: CommandContext): Promise<void> {
  const { policyJsonSchema } = await import('#policy');
  context.terminal.raw(`${JSON.stringify(policyJsonSchema(), undefined, 2)}\n`);
}

function pair(text: string): Pair {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError(`expected \`name=value\`, not \`${text}\``);
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** Commas also stand in quoted local parts: only one that a name follows ends a value. */
export function factPairs(text: string, before: readonly Pair[] = []): readonly Pair[] {
  return [...before, ...text.split(/,(?=\s*[a-z][a-z.-]*=)/u).map(pair)];
}

export function memberPair(text: string, before: readonly Pair[] = []): readonly Pair[] {
  return [...before, pair(text)];
}

interface Tested {
  readonly files: readonly PolicyFile[];
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  readonly tests: readonly { name: string; passed: boolean; message: string; explanation: readonly string[] }[];
  readonly invariants: readonly { name: string; result: string; message: string }[];
}

async function testFiles(context: CommandContext, names: readonly string[], each: boolean): Promise<void> {
  const { compileFiles, runInvariants, runTests } = await import('#policy');
  const results = policiesOf(readPolicyFiles(context, names), each).map((files): Tested => {
    const result = compileFiles(files);
    if (!result.ok) return { files, ok: false, findings: result.findings, tests: [], invariants: [] };
    const tests = runTests(result.policy).map(({ name, passed, message, explanation }) => ({
      name,
      passed,
      message,
      explanation: passed ? [] : explanation,
    }));
    const invariants = runInvariants(result.policy).map(({ name, result, message }) => ({ name, result, message }));
    const ok = tests.every(({ passed }) => passed) && invariants.every(({ result }) => result !== 'broken');
    return { files, ok, findings: [], tests, invariants };
  });
  show(
    context,
    results.map(({ files, ...answer }) => ({ ...filesField(files), ...answer })),
    () => results.flatMap(testedLines),
  );
  const failed = results.filter(({ ok }) => !ok).map(({ files }) => nameOf(files));
  if (failed.length > 0) throw new CommandError(EXIT.refused, `failed: ${failed.join(', ')}`, [], null);
}

const INVARIANT_MARKS: Readonly<Record<string, string>> = { holds: 'ok', broken: 'FAIL', 'not-proven': 'open' };

function testedLines({ files, findings, tests, invariants }: Tested): readonly string[] {
  if (findings.length > 0) return foundLines(findings, files);
  const passed = tests.filter((test) => test.passed).length;
  const held = invariants.filter(({ result }) => result === 'holds').length;
  return [
    ...tests.flatMap(({ name, passed: good, message, explanation }) => [
      line(good ? 'ok' : 'FAIL', name),
      ...(good ? [] : [message, ...explanation].map((each) => line('', each))),
    ]),
    ...invariants.flatMap(({ name, result, message }) => [
      line(INVARIANT_MARKS[result] ?? result, `invariant: ${name}`),
      ...(message === '' ? [] : [line('', message)]),
    ]),
    safe(
      `${nameOf(files)}: ${passed} of ${tests.length} tests passed, ${held} of ${invariants.length} invariants hold`,
    ),
  ];
}

function line(mark: string, text: string): string {
  return `  ${mark.padEnd(4)}  ${safe(text)}`;
}

async function explainFiles(context: CommandContext, names: readonly string[], options: ExplainOptions): Promise<void> {
  const { compileFiles, explainGiven } = await import('#policy');
  const files = readPolicyFiles(context, names);
  const result = compileFiles(files);
  if (!result.ok) throw refused(context, files, result.findings);
  const given = explainGiven(result.policy, { facts: options.given, members: options.member ?? [] });
  if (!given.ok) throw new CommandError(EXIT.refused, given.messages[0] ?? '', given.messages.slice(1));
  const { decision, steps, recipientSteps, lines, wouldChangeIf } = given.explanation;
  const [recipient] = decision.recipients;
  const otherwise = wouldChangeIf.flat();
  const { verdict, by, reply, client, tags } = recipient ?? decision.mail;
  const said = {
    verdict,
    by,
    ...(reply !== undefined && { reply: `${reply.code} ${reply.enhanced} ${reply.text}` }),
    client,
    tags,
    ...(recipient !== undefined && { recipient: recipient.recipient }),
    ...(recipient?.route !== undefined && { route: recipient.route }),
    ...(recipient?.reviewQueue !== undefined && { queue: recipient.reviewQueue }),
  };
  const answer = { ...said, given: given.facts, steps: [...steps, ...recipientSteps.flat()], text: lines };
  show(context, { ...answer, wouldChangeIf: otherwise }, () => [
    ...fields(Object.entries(said)),
    '',
    ...lines.map(safe),
    ...otherwise.map((text) => safe(`would be decided otherwise if ${text}`)),
  ]);
}

async function formatFiles(context: CommandContext, names: readonly string[], options: FormatOptions): Promise<void> {
  const onlyShow = options.write !== true && options.check !== true;
  if (options.write === true && names.includes('-')) {
    throw new CommandError(EXIT.usage, '--write needs files, not standard input');
  }
  const files = readPolicyFiles(context, names);
  if (onlyShow && files.length > 1) {
    await printJoined(context, files);
    return;
  }
  const { formatPolicy } = await import('#policy');
  // All are read before any is changed.
  const results = files.map(({ file, text }) => ({ file, text, result: formatPolicy(text) }));
  for (const { result, ...source } of results) if (!result.ok) throw refused(context, [source], result.findings);
  const laidOut = results.map(({ file, text, result }) => {
    const formatted = result.ok ? result.text : text;
    return { file, changed: formatted !== text, text: formatted };
  });
  const changed = laidOut.filter((each) => each.changed);
  if (options.write === true) for (const { file, text } of changed) context.write(file, text);
  const answer = laidOut.map(({ text, ...each }) => (onlyShow ? { ...each, text } : each));
  if (context.json()) show(context, answer, () => []);
  else if (onlyShow) context.terminal.raw(laidOut.map(({ text }) => text).join(''));
  else context.terminal.out(changed.map(({ file }) => safe(file)));
  if (options.check === true && changed.length > 0) {
    throw new CommandError(EXIT.refused, `not laid out: ${changed.map(({ file }) => file).join(', ')}`, [], null);
  }
}

async function printJoined(context: CommandContext, files: readonly PolicyFile[]): Promise<void> {
  const { joinPolicies } = await import('#policy');
  const result = joinPolicies(files);
  if (!result.ok) throw refused(context, files, result.findings);
  if (context.json()) show(context, [{ ...filesField(files), text: result.text }], () => []);
  else context.terminal.raw(result.text);
}

import { Command } from 'commander';
import { accountCommands } from './commands/accounts.js';
import { auditCommands } from './commands/audit.js';
import { dkimCommands } from './commands/dkim.js';
import { destinationCommands } from './commands/destinations.js';
import { gatewayCommands } from './commands/gateways.js';
import { keyCommands } from './commands/keys.js';
import { listCommands } from './commands/lists.js';
import { offlinePolicyCommands } from './commands/policy-offline.js';
import { policyCommands } from './commands/policy.js';
import { simulateCommand } from './commands/policy-simulate.js';
import { queueCommands } from './commands/queue.js';
import { reviewCommands } from './commands/reviews.js';
import { secretCommands } from './commands/secrets.js';
import { transactionCommands } from './commands/transactions.js';
import type { CommandContext } from './context.js';
import type { Terminal } from './terminal.js';

export interface GlobalOptions {
  readonly json?: true;
  readonly api?: string;
  readonly keyFile?: string;
  readonly dataDir?: string;
}

const EXAMPLES = `
Examples:
  postern policy check policy.yaml            find mistakes, with line, column and cure
  postern policy apply policy.yaml            make it the live policy
  postern list add blocked-senders a@x.example --note "ticket 4711" --expires 30d
  postern tx list --since 2h --recipient ann@example.com
  postern tx show txn_01JD…                   what was it, where is it now
  postern tx explain txn_01JD…                why was it refused
  postern review list                         what waits for a person
  postern queue hold --domain example.net     keep its mail back for now
  postern destination resolve example.net     where its mail would go now
  postern account add ann --identity ann@example.com

Exit codes: 0 done, 1 refused or invalid input, 2 wrong usage, 3 the API cannot be reached.`;

/** The command line. It does not read the environment and does not exit: main.ts does. */
export function createProgram(
  contextOf: (options: () => GlobalOptions) => CommandContext,
  terminal: Terminal,
): Command {
  const program = new Command('postern');
  program
    .description('Manage a Postern mail gateway: its policy, lists, keys, queue and audit.')
    .option('--json', 'print JSON, for scripts')
    .option('--api <url>', 'address of the admin API (POSTERN_API; else the one that runs here)')
    .option(
      '--key-file <file>',
      'file with an API key (POSTERN_API_KEY holds a key; else the key of the installation here)',
    )
    .option('--data-dir <dir>', 'data directory of the installation here (POSTERN_DATA_DIR)')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(add --help for usage)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => terminal.raw(text), writeErr: (text) => terminal.err([text.trimEnd()]) });
  const context = contextOf(() => program.opts<GlobalOptions>());
  // Subcommands take exitOverride, output and help settings from their parent when they are made.
  const policy = policyCommands(program, context);
  offlinePolicyCommands(policy, context);
  simulateCommand(policy, context);
  listCommands(program, context);
  transactionCommands(program, context);
  queueCommands(program, context);
  reviewCommands(program, context);
  destinationCommands(program, context);
  gatewayCommands(program, context);
  keyCommands(program, context);
  accountCommands(program, context);
  secretCommands(program, context);
  dkimCommands(program, context);
  auditCommands(program, context);
  return program;
}

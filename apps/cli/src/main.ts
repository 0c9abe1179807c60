import { terminal } from './terminal.js';
import { run } from './run.js';

// `postern tx list | head`: a reader that has seen enough is not a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run({
  arguments: process.argv.slice(2),
  environment: process.env,
  programDir: import.meta.dirname,
  terminal: terminal({ stdout: process.stdout, stderr: process.stderr }),
});

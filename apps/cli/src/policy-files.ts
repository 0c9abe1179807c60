/** Files that together are one policy, and what is found in them. */
import type { PolicyFile } from '#policy';
import type { CommandContext } from './context.js';
import { CommandError, EXIT } from './failure.js';
import { findingLines, type ShownFinding } from './findings.js';

export const FILES_HELP = 'policy files, YAML or JSON, joined when there are several; `-` is standard input';

export function readPolicyFiles(context: CommandContext, files: readonly string[]): readonly PolicyFile[] {
  if (new Set(files).size < files.length) throw new CommandError(EXIT.usage, 'a file is given twice');
  return files.map((file) => ({ file, text: context.read(file) }));
}

/** The files of one policy, or each as a policy of its own. */
export function policiesOf(files: readonly PolicyFile[], each: boolean): readonly (readonly PolicyFile[])[] {
  return each ? files.map((file) => [file]) : [files];
}

export function nameOf(files: readonly PolicyFile[]): string {
  return files.map(({ file }) => file).join(' + ');
}

/** For `--json`: one file as ever, several as what they are. */
export function filesField(files: readonly PolicyFile[]): { file: string } | { files: readonly string[] } {
  const [only] = files;
  return files.length === 1 && only !== undefined ? { file: only.file } : { files: files.map(({ file }) => file) };
}

/** With the line each finding is about, out of the file it is about. */
export function foundLines(findings: readonly ShownFinding[], files: readonly PolicyFile[]): readonly string[] {
  return findings.flatMap((finding) => {
    const source = files.length === 1 ? files[0] : files.find(({ file }) => file === finding.file);
    return findingLines(finding, source ?? { file: nameOf(files), text: '' });
  });
}

/** As `check` tells it. */
export function refused(
  context: CommandContext,
  files: readonly PolicyFile[],
  findings: readonly ShownFinding[],
): CommandError {
  const problem = [{ ...filesField(files), ok: false, findings }];
  if (!context.json()) context.terminal.err(foundLines(findings, files));
  return new CommandError(EXIT.refused, `refused: ${nameOf(files)}`, [], problem);
}

/** Header fields that are written here, folded into lines of a bearable length. RFC 5322 s2.1.1, s2.2.3. */

const LINE_CHARS = 76;

/** One field with its final CRLF. Lines break at spaces outside of quoted strings; a longer word stays whole. */
export function foldField(name: string, value: string): string {
  const lines: string[] = [];
  let line = `${name}:`;
  for (const word of wordsOf(value)) {
    if (line.length + 1 + word.length > LINE_CHARS && line.trim() !== '') {
      lines.push(line);
      line = `\t${word}`;
    } else line += ` ${word}`;
  }
  return `${[...lines, line].join('\r\n')}\r\n`;
}

function wordsOf(value: string): readonly string[] {
  return value.match(/(?:"(?:[^"\\]|\\.)*"|[^ "])+|"/g) ?? [];
}

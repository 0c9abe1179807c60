import { Problem } from '../http/problem.js';

const MOST_LINE_CHARACTERS = 8_192;

/** Lines of a UTF-8 body as they arrive, without their ends; the body is never in memory whole. */
export async function* linesOf(body: AsyncIterable<unknown>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const chunk of body) {
    rest += decode(decoder, chunk as Buffer);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MOST_LINE_CHARACTERS) throw tooLong();
    for (const line of lines) {
      if (line.length > MOST_LINE_CHARACTERS) throw tooLong();
      yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
  }
  rest += decode(decoder);
  if (rest !== '') yield rest;
}

function decode(decoder: InstanceType<typeof TextDecoder>, octets?: Buffer): string {
  try {
    return octets === undefined ? decoder.decode() : decoder.decode(octets, { stream: true });
  } catch {
    throw new Problem('malformed-body', 'the body must be well-formed UTF-8');
  }
}

function tooLong(): Problem {
  return new Problem('malformed-body', `a line is longer than ${MOST_LINE_CHARACTERS} characters`);
}

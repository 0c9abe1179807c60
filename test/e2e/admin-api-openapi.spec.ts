/** The description against the server: whatever is asked of any operation, the answer is one that it promises. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiUnderTest, smallPolicy, type Answer, type Ask } from './admin-api-support.js';

interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Described extends Operation {
  readonly method: string;
  readonly path: string;
  /** With values for its parameters, of things that are not there. */
  readonly example: string;
}

let api: ApiUnderTest;
let operations: readonly Described[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
  const { paths } = (await api.ask('/openapi.json')).body as { paths: Record<string, Record<string, Operation>> };
  operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path,
      example: path
        .replace('{revision}', '999')
        .replace('{release}', '999')
        .replace('{phase}', 'mail')
        .replace('{section}', 'mail')
        .replaceAll(/\{\w+\}/gu, 'nobody'),
    })),
  );
});
afterAll(() => api.stop());

const takesBody = ({ requestBody }: Described): boolean => requestBody !== undefined;
const needsIfMatch = ({ parameters = [] }: Described): boolean =>
  parameters.some(({ name, in: where, required }) => name === 'If-Match' && where === 'header' && required === true);

/** Statuses of a whole class of requests; each has to be among those that the operation describes. */
async function promised(asked: readonly Described[], ask: (operation: Described) => Ask): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const broken: string[] = [];
  for (const operation of asked) {
    const answer = await api.ask(operation.example, { method: operation.method, ...ask(operation) });
    answers.push(answer);
    const { method, path, responses } = operation;
    if (!(String(answer.status) in responses)) broken.push(`${method} ${path}: ${answer.status} ${answer.text}`);
    if (answer.status >= 500) broken.push(`${method} ${path}: ${answer.text}`);
  }
  expect(broken).toEqual([]);
  return answers;
}

test('every operation has a name of its own, and refers only to what there is', async () => {
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const text = (await api.ask('/openapi.json')).text;
  const { components } = JSON.parse(text) as { components: Record<string, Record<string, unknown>> };
  const missing = [...text.matchAll(/"#\/components\/(\w+)\/([^"]+)"/gu)].filter(
    ([, kind = '', name = '']) => components[kind]?.[name] === undefined,
  );
  expect(missing.map(([reference]) => reference)).toEqual([]);
});

describe('an answer is one that the description promises', () => {
  test('to things that are not there', () => promised(operations, () => ({ headers: { 'If-Match': '*' } })));

  test('to a body of nonsense', () =>
    promised(operations.filter(takesBody), () => ({ body: { nonsense: true }, headers: { 'If-Match': '*' } })));

  test('to a body that is not JSON', () =>
    promised(operations.filter(takesBody), () => ({ body: '{"a":', headers: { 'If-Match': '*' } })));

  test('to a body in a format that nobody knows: 415', async () => {
    const answers = await promised(operations.filter(takesBody), () => ({
      body: 'x',
      type: 'application/octet-stream',
      headers: { 'If-Match': '*' },
    }));
    expect(answers.filter(({ status }) => status !== 415 && status !== 404).map(({ text }) => text)).toEqual([]);
  });

  test('to a change that does not say what it is based on: 428, or that there is nothing', async () => {
    const changes = operations.filter(needsIfMatch);
    expect(changes.length).toBeGreaterThan(50);
    const answers = await promised(changes, (operation) => (takesBody(operation) ? { body: {} } : {}));
    expect(answers.filter(({ status }) => ![428, 400, 404].includes(status)).map(({ text }) => text)).toEqual([]);
    expect(answers.filter(({ status }) => status === 428).length).toBeGreaterThan(20);
  });

  test('to a key that may not, and to none', async () => {
    const closed = operations.filter(({ responses }) => '401' in responses);
    expect(closed.length).toBeGreaterThan(operations.length - 5);
    await promised(closed, () => ({ key: null }));
    await promised(closed, (operation) => ({ key: api.viewerKey, ...(takesBody(operation) && { body: {} }) }));
  });
});

import { describe, expect, test } from '@jest/globals';
import { patchPolicy, sameDocument, type PatchStep } from './edit.js';
import { policyChanges, policySection, sectionEntries } from './sections.js';

const TEXT = `# head
policy: main # the name

acl:
  # who may not
  rcpt:
    # about a
    - name: a
      when: { ip: blocked } # why
      reject: 550 5.7.1 No
    # about b
    - name: b
      reject: '550 5.7.1 Never'
routes:
  capture: { file: { format: maildir, directory: capture } } # to disk
# tail
`;

function patched(steps: readonly PatchStep[], text = TEXT): string {
  const result = patchPolicy(text, steps);
  if (!result.ok) throw new Error(JSON.stringify(result));
  return result.text;
}

describe('comments stay where they were', () => {
  test('nothing to do changes nothing but the layout', () => {
    const result = patchPolicy(TEXT, []);
    expect(result.ok && result.text === result.before).toBe(true);
  });

  test('a rule is added at the end, in the layout of people', () => {
    const rule = { name: 'c', when: { sender: 'x', ip: ['a', 'b'] }, reject: '550 5.7.1 C: no' };
    const text = patched([{ op: 'add', path: '/acl/rcpt/-', value: rule }]);
    expect(text).toContain(`    - name: c
      when: { sender: x, ip: [a, b] }
      reject: '550 5.7.1 C: no'
`);
    for (const comment of [
      '# head',
      '# the name',
      '# who may not',
      '# about a',
      '# why',
      '# about b',
      '# to disk',
      '# tail',
    ])
      expect(text).toContain(comment);
  });

  test('a rule before the first leaves that its comment', () => {
    const text = patched([{ op: 'add', path: '/acl/rcpt/0', value: { name: 'z', reject: '550 5.7.1 Z' } }]);
    expect(text).toMatch(/- name: z\n\s+reject: 550 5\.7\.1 Z\n\s+# about a\n\s+- name: a/u);
  });

  test('a changed value leaves the rest of its rule alone', () => {
    const value = { name: 'a', when: { ip: 'other' }, reject: '550 5.7.1 No', owner: 'ann' };
    const text = patched([{ op: 'replace', path: '/acl/rcpt/0', value }]);
    expect(text).toContain('when: { ip: other } # why');
    expect(text).toContain('# about a');
    expect(text).toContain('owner: ann');
  });

  test('quotes stay as the author had them', () => {
    const text = patched([{ op: 'replace', path: '/acl/rcpt/1/reject', value: '550 5.7.1 Not now' }]);
    expect(text).toContain(`reject: '550 5.7.1 Not now'`);
  });

  test('a moved rule takes its comment along', () => {
    const text = patched([{ op: 'move', from: '/acl/rcpt/1', path: '/acl/rcpt/0' }]);
    expect(text).toMatch(/# about b\n\s+- name: b[^#]*# about a\n\s+- name: a/u);
  });

  test('a removed rule takes its comment with it, and no other', () => {
    const text = patched([{ op: 'remove', path: '/acl/rcpt/1' }]);
    expect(text).not.toContain('about b');
    expect(text).toContain('# about a');
  });

  test('JSON stays JSON', () => {
    const text = patched([{ op: 'add', path: '/b', value: [1] }], '{"a": {"x": true}}');
    expect(text).toBe('{\n  "a": {\n    "x": true\n  },\n  "b": [\n    1\n  ]\n}\n');
  });
});

test.each([
  ['remove', { op: 'remove', path: '/acl/rcpt/2' }, '`2` is no position in a list of 2'],
  ['replace', { op: 'replace', path: '/nothing', value: 1 }, 'there is nothing at `/nothing`'],
  ['add', { op: 'add', path: '/nothing/here', value: 1 }, 'there is nothing at `/nothing`'],
  ['into a text', { op: 'add', path: '/policy/x', value: 1 }, 'there is no list or mapping at `/policy`'],
  ['test', { op: 'test', path: '/policy', value: 'other' }, 'the value at `/policy` is not the one the test expects'],
  ['leading zero', { op: 'remove', path: '/acl/rcpt/00' }, '`00` is no position in a list of 2'],
  ['dash', { op: 'remove', path: '/acl/rcpt/-' }, '`-` is no position in a list of 2'],
  ['no pointer', { op: 'remove', path: 'acl' }, '`acl` is no JSON pointer, expected one such as `/acl/rcpt/0`'],
  ['into itself', { op: 'move', from: '/acl', path: '/acl/rcpt' }, '`/acl` can not be moved into itself'],
] as const)('a step that does not fit is told, and nothing is done: %s', (_what, step, message) => {
  const result = patchPolicy(TEXT, [{ op: 'add', path: '/description', value: 'x' }, step]);
  expect(result).toMatchObject({ ok: false, fault: { step: 1, message } });
});

test('a text that cannot be read is told with its findings', () => {
  expect(patchPolicy('a: [', [])).toMatchObject({ ok: false, findings: [{ code: 'Y1' }] });
});

test('layout and comments do not count for what a text says', () => {
  expect(sameDocument(TEXT, patched([]))).toBe(true);
  expect(sameDocument(TEXT, TEXT.replace('name: b', 'name: c'))).toBe(false);
});

describe('changes between documents', () => {
  const before = {
    policy: 'main',
    acl: { rcpt: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] },
    domains: [{ match: ['x', 'y'], recipients: 'any' }],
    routes: { one: { mx: true }, two: { mx: true } },
  };

  test('entries are found by name, also those without one', () => {
    expect(sectionEntries(before, policySection('domains'))).toMatchObject([{ name: 'x,y', pointer: '/domains/0' }]);
    expect(sectionEntries(before, policySection('routes')).map(({ pointer }) => pointer)).toEqual([
      '/routes/one',
      '/routes/two',
    ]);
    expect(sectionEntries({ acl: 7 }, policySection('rcpt'))).toEqual([]);
  });

  test('added, removed, changed, moved: the fewest that explain it', () => {
    const after = {
      policy: 'main',
      description: 'new',
      acl: { rcpt: [{ name: 'c' }, { name: 'a' }, { name: 'b', reject: 'x' }, { name: 'd' }] },
      domains: before.domains,
      routes: { two: { mx: true } },
    };
    expect(policyChanges(before, after).map(({ section, name, change }) => `${change} ${section}/${name}`)).toEqual([
      'moved rcpt/c',
      'changed rcpt/b',
      'added rcpt/d',
      'removed routes/one',
      'added /description',
    ]);
    expect(policyChanges(after, structuredClone(after))).toEqual([]);
  });
});

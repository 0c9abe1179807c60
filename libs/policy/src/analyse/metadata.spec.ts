import { describe, expect, test } from '@jest/globals';
import { check, compile } from '../compile.js';
import { explainTransaction } from '../explain.js';
import { createSnapshot } from '../snapshot.js';

const policy = (...rules: readonly string[]): string => `policy: main
listeners: { inside: { address: 127.0.0.1, port: 2525, exposure: internal } }
acl:
  helo:
${rules.map((rule) => `    - ${rule}`).join('\n')}
routing: [{ name: rest, route: out }]
routes: { out: { hosts: [{ host: mbx.example.net }] } }
`;
const OLD = '{ name: old, when: { helo.kind: literal }, expires: 2026-03-31, reject: 550 5.7.1 No }';
const codes = (text: string, nowMs?: number): readonly string[] =>
  check(text, nowMs).findings.flatMap(({ code, line, severity, message }) =>
    code === 'P7' || code === 'L2' ? [`${code} ${severity} ${String(line)} ${message.slice(0, 32)}`] : [],
  );

describe('metadata of rules', () => {
  test('a rule is over from the day after `expires`, for whoever says what time it is', () => {
    expect(codes(policy(OLD), Date.UTC(2026, 2, 31, 23, 59))).toEqual([]);
    expect(codes(policy(OLD), Date.UTC(2026, 3, 1))).toEqual(['P7 warns 5 rule `helo/old` has expired and ']);
    expect(codes(policy(OLD))).toEqual([]);
  });

  test('an explanation tells of rules that are over, wherever they stand', () => {
    const text = `${policy(OLD).replace('routing: [', 'routing: [{ name: old, when: { ip: 10.0.0.1 }, expires: 2026-03-31, route: out }, ')}
copies: [{ name: old, when: { ip: 10.0.0.1 }, expires: 2026-03-31, route: out }]
domains: [{ match: [example.com], recipients: any, reason: a test }]
`;
    const compiled = compile(text);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
    const shared = { listener: 'inside', ip: '10.0.0.1', sender: '', time: '2026-04-01T00:00:00Z' };
    const { lines, decision } = explainTransaction(createSnapshot(compiled.policy, new Map()), shared, [
      { recipient: 'ann@example.com' },
    ]);
    expect(lines.filter((line) => line.includes('expired'))).toEqual([
      'rule helo/old: expired, decides nothing',
      'routing rule routing/old: expired, decides nothing',
      'copy copies/old: expired, decides nothing',
    ]);
    expect(decision.recipients).toMatchObject([{ verdict: 'accept', route: 'out' }]);
  });

  test('rules without an owner, where others have one', () => {
    const owned = '{ name: own, when: { helo.kind: malformed }, owner: ann, reject: 550 5.7.1 No }';
    expect(codes(policy(OLD))).toEqual([]);
    expect(codes(policy(OLD, owned))).toEqual(['L2 info 5 rule `helo/old` has no `owner`, ']);
  });
});

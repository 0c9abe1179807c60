import { describe, expect, it } from '@jest/globals';
import { refusalOf, type ServerFacts } from './server-checks.js';

const FIT: ServerFacts = {
  version: '150018',
  fsync: 'on',
  commit: 'on',
  encoding: 'UTF8',
  recovery: false,
  migrations: true,
};

describe('a server', () => {
  it.each(['150000', '150018', '180004'])('of version %s is fit', (version) => {
    expect(refusalOf({ ...FIT, version })).toBeUndefined();
  });

  it.each([
    [{ version: '140013' }, 'PostgreSQL 14 is too old: 15 or newer is needed'],
    [{ version: '90624' }, 'PostgreSQL 9 is too old: 15 or newer is needed'],
    [{ fsync: 'off' }, 'PostgreSQL runs with `fsync` off'],
    [{ commit: 'off' }, '`synchronous_commit` is off'],
    [{ encoding: 'SQL_ASCII' }, 'encoded in SQL_ASCII'],
    [{ recovery: true }, 'read-only standby'],
  ])('with %j is refused in a sentence', (fault, sentence) => {
    expect(refusalOf({ ...FIT, ...fault })).toContain(sentence);
  });
});

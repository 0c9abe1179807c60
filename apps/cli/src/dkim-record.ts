/** The DNS record of a DKIM key: how it is written, and whether it is there. RFC 6376 s3.6. */
import { Resolver } from 'node:dns/promises';

/** RFC 1035 s3.3: one string of a TXT record. */
const STRING_OCTETS = 255;
const LOOK_UP = { timeout: 3_000, tries: 2 };

export interface DnsRecord {
  readonly name: string;
  readonly type: 'TXT';
  readonly value: string;
  /** The value in strings of at most 255 octets: verifiers join them. */
  readonly strings: readonly string[];
  /** As it stands in a zone file. */
  readonly zoneLine: string;
}

export function txtRecord(domain: string, selector: string, value: string): DnsRecord {
  const name = `${selector}._domainkey.${domain}`;
  const strings = Array.from({ length: Math.ceil(value.length / STRING_OCTETS) }, (_, at) =>
    value.slice(at * STRING_OCTETS, (at + 1) * STRING_OCTETS),
  );
  const quoted = strings.map((text) => `"${text}"`);
  const written = quoted.length === 1 ? (quoted[0] ?? '') : `( ${quoted.join('\n  ')} )`;
  return { name, type: 'TXT', value, strings, zoneLine: `${name}. IN TXT ${written}` };
}

/** What verifiers would stumble over; undefined when the key is published as it is used. */
export async function publishedProblem(
  { name, value }: DnsRecord,
  servers: readonly string[],
): Promise<string | undefined> {
  const resolver = new Resolver(LOOK_UP);
  let answer: readonly (readonly string[])[];
  try {
    if (servers.length > 0) resolver.setServers(servers);
    answer = await resolver.resolveTxt(name);
  } catch (error) {
    return lookUpProblem(error);
  }
  const records = answer.map((strings) => strings.join(''));
  const keys = records.filter((record) => tagsOf(record).has('p'));
  if (keys.length === 0) return 'there is a TXT record, but it is no key';
  if (keys.length > 1) return `there are ${keys.length} keys under one name, which verifiers may refuse`;
  return keyProblem(tagsOf(keys[0] ?? ''), tagsOf(value));
}

function lookUpProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOTFOUND' || code === 'ENODATA') return 'is not published';
  if (code === 'ERR_INVALID_IP_ADDRESS') return '--dns-server: expected `ADDRESS` or `ADDRESS:PORT`';
  return `the DNS does not say (${code === '' ? 'unknown error' : code})`;
}

type Tags = ReadonlyMap<string, string>;

function keyProblem(published: Tags, used: Tags): string | undefined {
  const key = published.get('p')?.replace(/\s+/gu, '');
  if (key === '') return 'the key was revoked (`p=` is empty)';
  const type = published.get('k') ?? 'rsa';
  if (type !== used.get('k')) return `a key of another type is published (\`k=${type}\`)`;
  return key === used.get('p') ? conditionsProblem(published) : 'another key is published';
}

/** What a record may say beside its key. */
function conditionsProblem(published: Tags): string | undefined {
  const version = published.get('v') ?? 'DKIM1';
  if (version !== 'DKIM1') return `the record says \`v=${version}\`, expected \`v=DKIM1\``;
  const hashes = listOf(published, 'h');
  if (hashes.length > 0 && !hashes.includes('sha256')) {
    return `the record allows only \`h=${hashes.join(':')}\`, mail is signed with sha256`;
  }
  const services = listOf(published, 's');
  const isForMail = services.length === 0 || services.includes('*') || services.includes('email');
  if (!isForMail) return 'the record is not for mail (`s=`)';
  const isTrying = listOf(published, 't').includes('y');
  return isTrying ? 'is published for trying only (`t=y`): verifiers treat the mail as unsigned' : undefined;
}

function listOf(tags: Tags, name: string): readonly string[] {
  return (
    tags
      .get(name)
      ?.split(':')
      .map((word) => word.trim()) ?? []
  );
}

/** RFC 6376 s3.2. */
function tagsOf(record: string): Tags {
  const tags = new Map<string, string>();
  for (const part of record.split(';')) {
    const equals = part.indexOf('=');
    if (equals !== -1) tags.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  return tags;
}

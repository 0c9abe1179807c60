/**
 * Debian's programs that sign mail and check signatures: opendkim, Mail::DKIM of Perl, dkimpy of Python. Keys and records come
 * from files and pipes: none of them asks a name server.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { programPath } from './program-path.js';
import type { Workspace } from './workspace.js';

/** TXT records by name. */
export type KeyRecords = ReadonlyMap<string, string>;

export interface SigningTask {
  readonly domain: string;
  readonly selector: string;
  /** PEM. */
  readonly key: string;
  readonly workspace: Workspace;
}

/** One result for each signature, `pass` or what it is instead, in the order in which the program tells them. */
export type DkimVerifier = (message: Buffer, records: KeyRecords, workspace: Workspace) => readonly string[];
/** The message with a signature on top. */
export type DkimSigner = (message: Buffer, task: SigningTask) => Buffer;

function run(program: string, args: readonly string[], input?: Buffer): string {
  const result = spawnSync(program, args, { maxBuffer: 64 * 1024 * 1024, ...(input !== undefined && { input }) });
  if (result.status !== 0) throw new Error(`${program} ended with ${String(result.status)}: ${String(result.stderr)}`);
  return result.stdout.toString('latin1') + result.stderr.toString('latin1');
}

function opendkim(settings: readonly string[], message: Buffer, workspace: Workspace): string {
  const file = workspace.path('message.eml');
  const settingsFile = workspace.path('opendkim.conf');
  writeFileSync(file, message);
  writeFileSync(settingsFile, `${settings.join('\n')}\n`);
  return run(programPath('opendkim') ?? 'opendkim', ['-x', settingsFile, '-vv', '-t', file]);
}

export const opendkimVerifies: DkimVerifier = (message, records, workspace) => {
  const keys = workspace.path('keys');
  writeFileSync(keys, [...records].map(([name, record]) => `${name} ${record}\n`).join(''));
  const said = opendkim(['Mode v', `TestPublicKeys ${keys}`], message, workspace);
  return [...said.matchAll(/^\s*dkim=(\w+)/gm)].map(([, result = '']) => result);
};

export const opendkimSigns: DkimSigner = (message, { domain, selector, key, workspace }) => {
  const keyFile = workspace.path('key.pem');
  writeFileSync(keyFile, key, { mode: 0o600 });
  const settings = [
    'Mode s',
    `Domain ${domain}`,
    `Selector ${selector}`,
    `KeyFile ${keyFile}`,
    'SignatureAlgorithm rsa-sha256',
    'Canonicalization relaxed/relaxed',
    'OversignHeaders From',
    'RequireSafeKeys no',
  ];
  const said = opendkim(settings, message, workspace);
  const value = /hname='DKIM-Signature' hvalue='([^']+)'/.exec(said)?.[1] ?? '';
  return Buffer.concat([Buffer.from(`DKIM-Signature: ${value.replace(/\r?\n/g, '\r\n')}\r\n`, 'latin1'), message]);
};

/** Answers TXT questions out of a table: what Mail::DKIM wants of a resolver. */
const PERL_VERIFIER = `
use strict; use warnings; use Mail::DKIM::Verifier; use Mail::DKIM::ARC::Verifier; use Net::DNS;
open my $keys, '<', $ARGV[0] or die; my %records = map { chomp; split / /, $_, 2 } <$keys>;
package Table; sub new { bless {}, shift } sub errorstring { 'NXDOMAIN' } sub timeout { 5 } sub udp_timeout {5} sub tcp_timeout {5}
sub send { my ($self, $name, $type) = @_; my $packet = Net::DNS::Packet->new($name, 'TXT');
  if (my $text = $records{$name}) { $packet->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [$text =~ /(.{1,255})/g])) }
  else { $packet->header->rcode('NXDOMAIN') } return $packet }
sub query { my $packet = Table::send(@_); return $packet->answer ? $packet : undef }
package main; Mail::DKIM::DNS::resolver(Table->new);
binmode STDIN; my $message = do { local $/; <STDIN> };
my $verifier = $ARGV[1] eq 'arc' ? Mail::DKIM::ARC::Verifier->new : Mail::DKIM::Verifier->new;
$verifier->PRINT($message); $verifier->CLOSE;
if ($ARGV[1] eq 'arc') { print $verifier->result, "\\n" } else { print $_->result, "\\n" for $verifier->signatures }
`;

function perlVerifies(kind: 'dkim' | 'arc'): DkimVerifier {
  return (message, records, workspace) => {
    const keys = workspace.path('perl-keys');
    writeFileSync(keys, [...records].map(([name, record]) => `${name} ${record}\n`).join(''));
    return words(run('perl', ['-e', PERL_VERIFIER, keys, kind], message));
  };
}

export const mailDkimVerifies = perlVerifies('dkim');
export const mailDkimVerifiesArc = perlVerifies('arc');

const PERL_SIGNER = `
use strict; use warnings; use Mail::DKIM::Signer;
my ($domain, $selector, $key) = @ARGV; binmode STDIN; my $message = do { local $/; <STDIN> };
my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => 'relaxed/simple', Domain => $domain,
  Selector => $selector, KeyFile => $key);
$signer->PRINT($message); $signer->CLOSE; print $signer->signature->as_string;
`;

export const mailDkimSigns: DkimSigner = (message, { domain, selector, key, workspace }) => {
  const file = workspace.path('perl-key.pem');
  writeFileSync(file, key, { mode: 0o600 });
  const field = run('perl', ['-e', PERL_SIGNER, domain, selector, file], message).replace(/\r?\n/g, '\r\n');
  return Buffer.concat([Buffer.from(`${field.trimEnd()}\r\n`, 'latin1'), message]);
};

const PYTHON = '/usr/bin/python3';
const PYTHON_VERIFIER = `
import sys, dkim
records = dict(line.rstrip('\\n').split(' ', 1) for line in open(sys.argv[1]))
def dns(name, timeout=5):
    text = records.get(name.decode().rstrip('.') if isinstance(name, bytes) else name.rstrip('.'))
    return None if text is None else text.encode()
message = sys.stdin.buffer.read()
if sys.argv[2] == 'arc':
    cv, results, reason = dkim.arc_verify(message, dnsfunc=dns, minkey=1024)
    print((cv or b'none').decode())
else:
    count = sum(1 for name, value in dkim.rfc822_parse(message)[0] if name.lower() == b'dkim-signature')
    for at in range(count):
        try:
            print('pass' if dkim.DKIM(message, timeout=5).verify(idx=at, dnsfunc=dns) else 'fail')
        except dkim.DKIMException as error:
            print('fail')
`;

function pythonVerifies(kind: 'dkim' | 'arc'): DkimVerifier {
  return (message, records, workspace) => {
    const keys = workspace.path('python-keys');
    writeFileSync(keys, [...records].map(([name, record]) => `${name} ${record}\n`).join(''));
    return words(run(PYTHON, ['-c', PYTHON_VERIFIER, keys, kind], message));
  };
}

export const dkimpyVerifies = pythonVerifies('dkim');
export const dkimpyVerifiesArc = pythonVerifies('arc');

const PYTHON_SIGNER = `
import sys, dkim
kind, domain, selector, key = sys.argv[1:5]
message = sys.stdin.buffer.read()
pem = open(key, 'rb').read()
out = sys.stdout.buffer
if kind == 'arc':
    out.write(b''.join(dkim.arc_sign(message, selector.encode(), domain.encode(), pem, sys.argv[5].encode())))
else:
    algorithm = b'ed25519-sha256' if kind == 'ed25519' else b'rsa-sha256'
    out.write(dkim.sign(message, selector.encode(), domain.encode(), pem, canonicalize=(b'relaxed', b'relaxed'), signature_algorithm=algorithm))
`;

export function dkimpySigns(kind: 'rsa' | 'ed25519' | 'arc', authservId = ''): DkimSigner {
  return (message, { domain, selector, key, workspace }) => {
    const file = workspace.path('python-key');
    writeFileSync(file, key, { mode: 0o600 });
    const result = spawnSync(PYTHON, ['-c', PYTHON_SIGNER, kind, domain, selector, file, authservId], {
      input: message,
    });
    if (result.status !== 0) throw new Error(`dkimpy: ${result.stderr.toString()}`);
    return Buffer.concat([result.stdout, message]);
  };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

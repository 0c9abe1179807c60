import { describe, expect, it } from '@jest/globals';
import { ContentCheck, type ContentResults } from './content-check.js';
import type { DnsReply } from './dns.js';

/** Messages and keys as the RFCs print them. */
const KEYS: Readonly<Record<string, string>> = {
  // RFC 6376 appendix C
  'brisbane._domainkey.example.com':
    'v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB',
  // RFC 8463 appendix A.2
  'brisbane._domainkey.football.example.com': 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
  'test._domainkey.football.example.com':
    'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
};

const keys = {
  txt: (name: string): Promise<DnsReply<string>> => {
    const record = KEYS[name];
    return Promise.resolve(record === undefined ? { kind: 'no-domain' } : { kind: 'found', values: [record] });
  },
};

async function check(message: string): Promise<Extract<ContentResults, { ok: true }>> {
  const content = new ContentCheck({ nowMs: Date.parse('2018-06-11T00:00:00Z') });
  content.write(Buffer.from(message, 'latin1'));
  const results = await content.end(keys);
  if (!results.ok) throw new Error(results.why);
  return results;
}

const lines = (...text: readonly string[]): string => `${text.join('\r\n')}\r\n`;

const BODY = lines('', 'Hi.', '', 'We lost the game. Are you hungry yet?', '', 'Joe.');

const HEADER = lines(
  'From: Joe SixPack <joe@football.example.com>',
  'To: Suzie Q <suzie@shopping.example.net>',
  'Subject: Is dinner ready?',
  'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
  'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
);

describe('the message of RFC 8463 appendix A.3', () => {
  const ed25519 = lines(
    'DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;',
    ' d=football.example.com; i=@football.example.com;',
    ' q=dns/txt; s=brisbane; t=1528637909; h=from : to :',
    ' subject : date : message-id : from : subject : date;',
    ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    ' b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus',
    ' Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==',
  );
  const rsa = lines(
    'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;',
    ' d=football.example.com; i=@football.example.com;',
    ' q=dns/txt; s=test; t=1528637909; h=from : to : subject :',
    ' date : message-id : from : subject : date;',
    ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    ' b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3',
    ' DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz',
    ' dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=',
  );

  it('has two signatures that hold', async () => {
    const { dkim } = await check(ed25519 + rsa + HEADER + BODY);
    expect(dkim).toMatchObject([
      { result: 'pass', domain: 'football.example.com', selector: 'brisbane', algorithm: 'ed25519-sha256' },
      { result: 'pass', domain: 'football.example.com', selector: 'test', algorithm: 'rsa-sha256', keyBits: 1024 },
    ]);
  });

  it('is another one when From is', async () => {
    const { dkim } = await check(ed25519 + rsa + HEADER.replace('joe@', 'jim@') + BODY);
    expect(dkim.map(({ result }) => result)).toEqual(['fail', 'fail']);
  });

  it('was signed against another From on top of it: From is named once more than it is there', async () => {
    const { dkim } = await check(`From: mallory@football.example.com\r\n${ed25519}${rsa}${HEADER}${BODY}`);
    expect(dkim.map(({ result }) => result)).toEqual(['fail', 'fail']);
  });
});

describe('the message of RFC 6376 appendix A.2', () => {
  const signature = lines(
    'DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;',
    '      c=simple/simple; q=dns/txt; i=joe@football.example.com;',
    '      h=Received : From : To : Subject : Date : Message-ID;',
    '      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    '      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB',
    '      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut',
    '      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV',
    '      4bmp/YzhwvcubU4=;',
  );
  const received = lines(
    'Received: from client1.football.example.com  [192.0.2.1]',
    '      by submitserver.example.com with SUBMISSION;',
    '      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)',
  );

  it('has a signature over simple/simple that holds', async () => {
    const { dkim } = await check(signature + received + HEADER + BODY);
    expect(dkim).toMatchObject([{ result: 'pass', domain: 'example.com', identity: 'joe@football.example.com' }]);
  });

  it('is another one with a space less in the header', async () => {
    const { dkim } = await check(signature + received.replace('com  [', 'com [') + HEADER + BODY);
    expect(dkim).toMatchObject([{ result: 'fail' }]);
  });
});

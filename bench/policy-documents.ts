/** Policies of any size, as people grow them: rules on networks, senders, recipients, and routes by domain. */

/** `rules` rules over all phases. Nothing in it is refused, and no rule is unreachable. */
export function policyOfRules(rules: number): string {
  const share = Math.max(1, Math.floor(rules / 4));
  const each = (write: (index: number) => string): string => Array.from({ length: share }, (_, i) => write(i)).join('');
  return `policy: main
listeners:
  mx: { address: 192.0.2.10, port: 25, exposure: internet }
  internal: { address: 10.0.0.1, port: 2525, exposure: internal }
lists:
  our-domains: { type: domain, entries: [example.com, .example.org] }
  staff: { type: address, source: managed, within: { domain: our-domains } }
  blocked: { type: address, source: managed, use: deny }
clients:
  - { name: apps, match: { ip: 10.0.0.0/8, listener: internal }, relay: anywhere, senders: our-domains }
domains:
  - { match: our-domains, recipients: staff }
acl:
  connect:
${each((i) => `    - { name: net-${i}, when: { ip: 20.${(i >> 8) & 255}.${i & 255}.0/24 }, reject: 554 5.7.1 Network blocked }\n`)}  mail:
    - { name: blocked, when: { sender: blocked }, reject: 550 5.7.1 Sender blocked }
${each((i) => `    - { name: sender-${i}, when: { sender.domain: [s${i}.example, .s${i}.example], client: none }, unless: { helo: good${i}.example }, reject: 550 5.7.1 Sender blocked }\n`)}  rcpt:
${each((i) => `    - { name: rcpt-${i}, when: { recipient: person${i}@example.com, sender.domain: { not: our-domains } }, reject: 550 5.7.1 Not for you }\n`)}routing:
${each((i) => `  - { name: route-${i}, when: { recipient.domain: dest${i}.example.net }, route: provider }\n`)}  - { name: inside, when: { recipient.domain: our-domains }, route: mailboxes }
  - { name: rest, route: internet }
routes:
  mailboxes: { hosts: [{ host: mbx.inside.example }] }
  provider: { hosts: [{ host: smtp.provider.example, port: 587 }] }
  internet: { mx: true }
`;
}

export function addressOf(index: number): string {
  return `user.name${String(index)}@dest${String(index % 5_000)}.example.com`;
}

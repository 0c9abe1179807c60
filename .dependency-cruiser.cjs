/**
 * The fence: who may know whom. One row per room; everything a row does not name is forbidden.
 * `test/fence` proves that each rule catches what it is meant to catch.
 *
 *   libs   libraries of ours; a trailing `:types` allows only `import type`
 *   npm    packages; `config` rows below add zod to the one file that reads the environment
 *   node   true: any built-in; an array: only these; I/O built-ins are never in a pure room
 */
const SAFE_BUILTINS = [
  'events',
  'crypto',
  'util',
  'timers',
  'timers/promises',
  'buffer',
  'assert',
  'perf_hooks',
  'async_hooks',
];

const ROOMS = {
  'libs/smtp-core': { libs: [], npm: ['tr46'], node: [] },
  'libs/smtp-net': { libs: ['smtp-core'], npm: [], node: true },
  'libs/policy': { libs: [], npm: ['zod', 'yaml', 're2js', 'ipaddr.js', 'tr46'], node: [] },
  'libs/mime': { libs: [], npm: [], node: [] },
  'libs/mail-auth': { libs: [], npm: ['tldts', 'ipaddr.js', 'tr46'], node: ['crypto', 'buffer'] },
  'libs/audit': { libs: [], npm: [], node: [] },
  'libs/delivery': { libs: ['smtp-core', 'audit'], npm: [], node: SAFE_BUILTINS },
  'libs/database': {
    libs: ['audit', 'delivery:types'],
    npm: ['zod', 'pg', 'typeorm', 'reflect-metadata', '@node-rs/argon2'],
    node: SAFE_BUILTINS,
  },
  migrations: { libs: [], npm: ['typeorm'], node: [] },
  'apps/gateway': {
    libs: ['smtp-core', 'smtp-net', 'policy', 'mime', 'mail-auth', 'audit', 'delivery', 'database'],
    npm: [
      '@nestjs/[^/]+',
      'reflect-metadata',
      'rxjs',
      'pino',
      'prom-client',
      'dns-packet',
      'ipaddr.js',
      '@peculiar/x509',
    ],
    node: true,
  },
  'apps/admin-api': {
    libs: ['policy', 'mime', 'mail-auth', 'audit', 'delivery:types', 'database'],
    npm: [
      '@nestjs/[^/]+',
      'reflect-metadata',
      'rxjs',
      'pino',
      'express',
      'class-validator',
      'class-transformer',
      'diff',
    ],
    node: SAFE_BUILTINS,
  },
  'apps/cli': { libs: ['policy'], npm: ['commander', 'yaml'], node: true },
};

/** Files with a wider door, each for a reason. */
const CONFIG_FILE = '^apps/[^/]+/src/config\\.ts$'; // zod reads the environment here
const COMPOSITION_ROOT = '^apps/admin-api/src/[^/]+\\.ts$'; // listens, writes openapi.json and the first key's file
const SPEC = '\\.spec\\.ts$'; // tests may use tools; house rules still hold for deep imports and apps

const escaped = (name) => name.replace(/\.(?=js$)/, '\\.');

function roomRules([room, { libs, npm, node }]) {
  const from = { path: `^${room}/`, pathNot: SPEC };
  const self = room.startsWith('libs/') ? [room.slice('libs/'.length)] : [];
  const known = [...self, ...libs.map((lib) => lib.replace(':types', ''))];
  const typesOnly = libs.filter((lib) => lib.endsWith(':types')).map((lib) => lib.replace(':types', ''));
  const packages = npm.map(escaped).join('|');
  const rules = [
    {
      name: `${room}: libraries`,
      comment: `may know only: ${libs.join(', ') || 'no library of ours'}`,
      from,
      to: { path: '^libs/', ...(known.length > 0 && { pathNot: `^libs/(${known.join('|')})/` }) },
    },
    {
      name: `${room}: packages`,
      comment: `may use only: ${npm.join(', ') || 'no package'}`,
      from: { ...from, pathNot: [SPEC, CONFIG_FILE] },
      to: { path: 'node_modules/', ...(npm.length > 0 && { pathNot: `node_modules/(@types/)?(${packages})/` }) },
    },
  ];
  if (typesOnly.length > 0)
    rules.push({
      name: `${room}: types only`,
      comment: `takes only types from: ${typesOnly.join(', ')}`,
      from,
      to: { path: `^libs/(${typesOnly.join('|')})/`, dependencyTypesNot: ['type-only'] },
    });
  if (node !== true)
    rules.push({
      name: `${room}: built-ins`,
      comment: `may use only these built-ins of Node: ${node.join(', ') || 'none'}`,
      from: { ...from, pathNot: room === 'apps/admin-api' ? [SPEC, COMPOSITION_ROOT] : SPEC },
      to: { dependencyTypes: ['core'], ...(node.length > 0 && { pathNot: `^(node:)?(${node.join('|')})$` }) },
    });
  return rules;
}

const houseRules = [
  { name: 'no cycles', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
  {
    name: 'no unresolved import',
    comment: 'an import that resolves to nothing is an edge the other rules cannot see',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'aliases resolve to sources',
    comment: 'an edge into dist/ is one that the other rules cannot see',
    from: {},
    to: { path: '(^|/)dist/', pathNot: 'node_modules/' },
  },
  {
    name: 'no orphans',
    comment: 'a file nobody imports is dead, unless it is a door (main, setup, openapi), a type of its own, or a test',
    from: { orphan: true, pathNot: [SPEC, '\\.d\\.ts$', '^apps/[^/]+/src/[^/]+\\.ts$', '^libs/[^/]+/src/index\\.ts$'] },
    to: {},
  },
  {
    name: 'only the index of a library',
    from: { path: '^libs/([^/]+)/' },
    to: { path: '^libs/', pathNot: '^libs/$1/|^libs/[^/]+/src/index\\.ts$' },
  },
  {
    name: 'only the index of a library, from outside',
    from: { pathNot: '^libs/' },
    to: { path: '^libs/[^/]+/src/', pathNot: '^libs/[^/]+/src/index\\.ts$' },
  },
  { name: 'libraries know no app', from: { path: '^(libs|migrations)/' }, to: { path: '^apps/' } },
  { name: 'apps know no app', from: { path: '^apps/([^/]+)/' }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
  {
    name: 'only database knows migrations',
    from: { pathNot: '^(migrations|libs/database)/' },
    to: { path: '^migrations/' },
  },
  {
    name: 'sources know no test',
    from: { path: '^(apps|libs|migrations)/', pathNot: SPEC },
    to: { path: '^test/|\\.spec\\.ts$' },
  },
  {
    name: 'config.ts: packages',
    comment: 'the file that reads the environment may use zod and nothing else',
    from: { path: CONFIG_FILE },
    to: { path: 'node_modules/', pathNot: 'node_modules/zod/' },
  },
];

module.exports = {
  forbidden: [...houseRules, ...Object.entries(ROOMS).flatMap(roomRules)].map((rule) => ({
    severity: 'error',
    ...rule,
  })),
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(coverage|violations)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types', 'typings'],
    },
    reporterOptions: { text: { highlightFocused: true } },
  },
};

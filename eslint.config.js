// Rules with types for TypeScript, without for scripts. `test/fence` proves the purity rules on planted violations.
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const MAX_LINES = 400;
const MAX_COMPLEXITY = 15;
const MAX_PARAMS = 4;
const MAX_DEPTH = 3;
const MAX_FUNCTION_LINES = 80; // the habit is 40

const size = {
  'max-lines': ['error', { max: MAX_LINES }],
  complexity: ['error', { max: MAX_COMPLEXITY }],
  'max-params': ['error', { max: MAX_PARAMS }],
  'max-depth': ['error', { max: MAX_DEPTH }],
};

const functionLines = ['error', { max: MAX_FUNCTION_LINES, skipBlankLines: true, skipComments: true }];

/** A disabled rule says why: `// eslint-disable-next-line rule -- why`. */
const describedDisables = {
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        const bare = /^\s*eslint-disable/.test(comment.value) && !/\s--\s+\S/.test(comment.value);
        if (bare) context.report({ loc: comment.loc, message: 'a disabled rule needs its reason: `-- why`' });
      }
    },
  }),
};

const house = {
  eqeqeq: 'error',
  'no-console': 'error',
  'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx'], location: 'anywhere' }],
  'house/described-disables': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
};

/** Syntax that conventions forbid everywhere in TypeScript; flat config replaces options, so sets are spelt by spread. */
const syntax = [
  { selector: 'TSEnumDeclaration', message: 'use a union of strings instead of an enum' },
  { selector: 'ExportDefaultDeclaration', message: 'export by name' },
];
const librarySyntax = [
  ...syntax,
  {
    selector: 'ClassDeclaration[superClass]:not([superClass.name=/(Error|Fault)$/])',
    message: 'no inheritance in libraries, except of errors',
  },
  { selector: 'Decorator', message: 'decorators belong to apps and entities' },
];

/** What makes a function's result depend on more than its arguments. */
const IMPURE_GLOBALS = [
  'process',
  'performance',
  'fetch',
  'crypto',
  'console',
  'global',
  'globalThis',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'WebSocket',
  'navigator',
];
const pureMessage = 'pure library: take time, randomness and I/O as arguments';

const pureRules = (allowedAliases, allowedPackages) => ({
  'no-restricted-globals': ['error', ...IMPURE_GLOBALS.map((name) => ({ name, message: pureMessage }))],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: pureMessage },
    { object: 'Math', property: 'random', message: pureMessage },
  ],
  'no-restricted-syntax': [
    'error',
    ...librarySyntax,
    { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: pureMessage },
    { selector: 'CallExpression[callee.name="Date"]', message: pureMessage },
    { selector: 'ImportExpression', message: 'pure library: nothing is loaded at run time' },
  ],
  'no-restricted-imports': [
    'error',
    {
      patterns: [
        // `regex`, never `group`: a group that begins with # is taken for a comment and matches nothing.
        {
          regex: `^#(?!(${allowedAliases.join('|') || '$.'})$)`,
          message: 'this library knows none of our other rooms',
        },
        {
          regex: `^(?!\\.|#)(?!(${allowedPackages.map((name) => name.replace('.', '\\.')).join('|') || '$.'})$)`,
          message: 'neither this package nor any built-in is allowed here; see .dependency-cruiser.cjs',
        },
      ],
    },
  ],
});

const specs = ['**/*.spec.ts', 'test/**/*.ts', 'bench/**/*.ts'];

export default defineConfig(
  {
    ignores: [
      '**/node_modules/',
      'dist/',
      'data/',
      'coverage/',
      'test/fence/violations/',
      'apps/admin-console/',
      '**/*.d.ts',
    ],
  },
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { house: { rules: { 'described-disables': describedDisables } } },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      ...size,
      ...house,
      'max-lines-per-function': functionLines,
      'no-restricted-syntax': ['error', ...syntax],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // There are no enums to protect (see `syntax`), and it takes a quarter of the time of all rules.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      // Fights Nest's option classes and DTO literals.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
    },
  },
  {
    files: ['libs/**/*.ts'],
    ignores: ['libs/*/src/entities/**'],
    rules: { 'no-restricted-syntax': ['error', ...librarySyntax] },
  },
  {
    // The environment is read once, at the door of a process.
    files: ['apps/**/*.ts', 'libs/**/*.ts'],
    ignores: [
      'apps/*/src/main.ts',
      'apps/*/src/setup.ts',
      'apps/*/src/reset-key.ts',
      'apps/*/src/openapi.ts',
      ...specs,
    ],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'only main.ts reads the environment' },
      ],
    },
  },
  { files: ['libs/smtp-core/**/*.ts'], ignores: specs, rules: pureRules([], ['tr46']) },
  {
    files: ['libs/policy/**/*.ts'],
    ignores: specs,
    rules: pureRules([], ['zod', 'yaml', 're2js', 'ipaddr.js', 'tr46']),
  },
  { files: ['libs/audit/**/*.ts'], ignores: specs, rules: pureRules([], []) },
  { files: ['libs/mime/**/*.ts'], ignores: specs, rules: pureRules([], []) },
  {
    files: ['libs/mail-auth/**/*.ts'],
    ignores: specs,
    rules: pureRules([], ['tldts', 'ipaddr.js', 'tr46', 'node:crypto', 'node:buffer']),
  },
  {
    files: specs,
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      // Bodies of HTTP answers and matchers are `any` by their libraries' types.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['bench/**/*.ts', 'apps/cli/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.base],
    languageOptions: { sourceType: 'module' },
    rules: {
      ...size,
      ...house,
      'no-console': 'off',
      'no-undef': 'off',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'all' }],
      'no-var': 'error',
      'max-lines-per-function': functionLines,
    },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
);

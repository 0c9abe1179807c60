// `npm start`: from a fresh checkout to a running gateway. Until packages are installed, only Node itself is here;
// until the version of Node is known to do, only what the oldest Node can parse.
const MIN_NODE = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  console.error(`Postern needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

import('./lib/start.mjs').then(({ start }) => start(process.argv.slice(2), process.env));

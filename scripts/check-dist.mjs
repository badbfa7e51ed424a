// Rebuilds the bundle, compares it with the committed one, and runs it as a user would: on Node 24 and on the Node at hand, without node_modules.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { node24 } from './node24.mjs';

const root = new URL('..', import.meta.url).pathname;
must('node', ['scripts/build.mjs'], root);
must('git', ['diff', '--exit-code', '--text', '--ignore-space-at-eol', '--stat', '--', 'dist'], root);
const untracked = spawnSync('git', ['ls-files', '--others', '--exclude-standard', 'dist'], {
  cwd: root,
  encoding: 'utf8',
}).stdout;
if (untracked) fail(`dist has files that are not committed:\n${untracked}`);

const bare = mkdtempSync(join(tmpdir(), 'berth-bare-'));
cpSync(join(root, 'dist'), join(bare, 'dist'), { recursive: true });
for (const node of [node24(), process.execPath]) must(node, [join(bare, 'dist/cli/index.js'), 'version'], bare);
// Without a runner around it the Action must get as far as saying so.
const action = spawnSync(node24(), [join(bare, 'dist/action/index.js')], { cwd: bare, env: {}, encoding: 'utf8' });
if (!action.stdout.includes('RUNNER_TEMP is not set'))
  fail(`dist/action does not start:\n${action.stdout}${action.stderr}`);
rmSync(bare, { recursive: true, force: true });
console.log('dist is what the source gives, and it runs');

function must(program, args, cwd) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (status !== 0)
    fail(`${program} ${args.join(' ')} ended with ${status ?? error?.message}; run \`npm run build\` and commit dist`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

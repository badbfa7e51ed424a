import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NO_ACCOUNTS, removeAccounts, takeAccount, type AccountKind } from './account.ts';
import { leftoversAfter, leftovers } from './leftovers.ts';
import { BASE_CACHE, CHECKOUT, createWorld, type World } from './world.ts';

/** Registers the tests of the demo as each of `kinds`; a file has two of the four, so that two files can run beside each other. */
export function describeDemo(kinds: readonly AccountKind[]): void {
  const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
  if (NO_ACCOUNTS !== undefined) console.log(`demo: ${NO_ACCOUNTS}`);
  suite('npm run demo', () => register(kinds));
}

function register(kinds: readonly AccountKind[]): void {
  let copy = '';
  beforeAll(() => {
    copy = copyCheckout();
  });
  afterAll(() => {
    rmSync(copy, { recursive: true, force: true });
    removeAccounts();
  });

  test.each(kinds)('builds, tests and pushes as %s, and does nothing twice', async (kind) => {
    const world = createWorld(takeAccount(kind));
    execFileSync('chown', ['-R', `${world.account.uid}:${world.account.gid}`, copy]);
    rmSync(join(copy, '.demo'), { recursive: true, force: true });
    const before = new Set(leftovers(copy));

    const first = await demo(world, copy);
    expect(first.output).toMatch(/tested (sha256:[0-9a-f]{64}) == pushed \1/);
    expect(first.code).toBe(0);

    const second = await demo(world, copy);
    expect(second.output).toMatch(/0 executed/);
    expect(second.output).toMatch(/0 blobs pushed/);
    expect(digestOf(second.output)).toBe(digestOf(first.output));
    expect(second.code).toBe(0);

    expect((await leftoversAfter(copy, 3)).filter((line) => !before.has(line))).toEqual([]);
    await world.remove();
  });
}

function demo(world: World, copy: string): ReturnType<World['run']> {
  // Root's is where the other suites look; another user makes one as he would on his machine.
  const base = world.account.kind === 'root' ? BASE_CACHE : join(world.account.home, '.cache', 'berth-demo');
  return world.run([world.node, 'scripts/node24.mjs', 'scripts/demo.ts'], {
    cwd: copy,
    env: { BERTH_ROOT: '', BERTH_DEMO_BASE: base },
  });
}

function digestOf(output: string): string | undefined {
  return /tested (sha256:[0-9a-f]{64})/.exec(output)?.[1];
}

/** The files that git knows, with the packages that are installed, where every user may go. */
function copyCheckout(): string {
  const folder = mkdtempSync('/var/tmp/berth-demo-');
  chmodSync(folder, 0o755);
  const target = join(folder, 'checkout');
  mkdirSync(target);
  execFileSync(
    'sh',
    ['-c', 'git ls-files -z | xargs -0 cp --parents --no-dereference -t "$1" && cp -a node_modules "$1"', 'sh', target],
    { cwd: CHECKOUT },
  );
  return target;
}

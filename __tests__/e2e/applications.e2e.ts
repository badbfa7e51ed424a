import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NO_ACCOUNTS, removeAccounts, takeAccount, type AccountKind } from './support/account.ts';
import { startBaseRegistry, type BaseRegistry } from './support/registry.ts';
import { copyExample, createWorld, type Outcome, type World } from './support/world.ts';

const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`applications: ${NO_ACCOUNTS}`);

suite('applications of lessons', () => {
  let registry: BaseRegistry;
  beforeAll(async () => {
    registry = await startBaseRegistry();
  });
  afterAll(async () => {
    await registry.stop();
    removeAccounts();
  });

  test('text-gunicorn: one stage with apt-get and pip, tested with gunicorn workers and pushed', async () => {
    const world = createWorld(takeAccount('root'), registry.mirrors);
    const cwd = copyExample(world, 'text-gunicorn');
    const tag = `${registry.host}/text-gunicorn:1`;
    const outcome = await ci(world, cwd, tag);
    expect(outcome.output).toMatch(/tested (sha256:[0-9a-f]{64}) == pushed \1/);
    expect(outcome.code).toBe(0);
    await world.remove();
  });

  test.each<AccountKind>(['root', 'sudo', 'subuid'])(
    'trainer: as %s it leaves a model on the host with its owner',
    async (kind) => {
      const world = createWorld(takeAccount(kind), registry.mirrors);
      const cwd = copyExample(world, 'trainer');
      expect((await world.berth(['build', '-t', 'trainer', ...CA, '.'], { cwd })).code).toBe(0);
      const models = join(cwd, 'models');
      mkdirSync(models, { recursive: true });
      execFileSync('chown', [`${world.account.uid}:${world.account.gid}`, models]);
      const outcome = await world.berth(['run', '--rm', '-v', `${models}:/models`, 'trainer'], { cwd });
      expect(outcome.code).toBe(0);
      const files = execFileSync('ls', [models], { encoding: 'utf8' }).trim().split('\n');
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) {
        expect(existsSync(join(models, file))).toBe(true);
        // Root inside is root outside on rung root, as with Docker, and the user himself on rung userns.
        expect(statSync(join(models, file)).uid).toBe(kind === 'subuid' ? world.account.uid : 0);
      }
      await world.remove();
    },
  );
});

const CA = ['--build-ca'];

function ci(world: World, cwd: string, tag: string): Promise<Outcome> {
  return world.berth(['ci', ...CA, '--smoke-test', 'smoke-test.yaml', '--tag', tag, '--push', '.'], { cwd });
}

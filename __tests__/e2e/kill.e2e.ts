import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NO_ACCOUNTS, removeAccounts, takeAccount, type AccountKind } from './support/account.ts';
import { makeJob, MOMENTS, startJob, strike } from './support/job.ts';
import { leftovers, leftoversAfter } from './support/leftovers.ts';
import { createWorld, type World } from './support/world.ts';

const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`kill: ${NO_ACCOUNTS}`);

suite('kill -9', () => {
  afterAll(removeAccounts);

  describe.each<[AccountKind, 'node' | 'sudo']>([
    ['root', 'node'],
    ['sudo', 'node'],
    ['sudo with use_pty', 'sudo'],
    ['subuid', 'node'],
  ])('as %s, of %s', (kind, victim) => {
    let world: World;
    beforeAll(async () => {
      world = createWorld(takeAccount(kind));
      makeJob(world);
      expect((await startJob(world, 'first').ended).code).toBe(0);
    });
    afterAll(() => world.remove());

    test('leaves nothing after the next command at ten points, and the store whole', async () => {
      const before = new Set(leftovers(world.store));
      for (const [at, moment] of MOMENTS.entries()) {
        const running = startJob(world, `point-${at}`);
        await running.saw(moment);
        strike(running, victim);
        await running.ended;

        const next = await world.berth(['ps', '--all', '--quiet']);
        expect(next.stderr).toBe('');
        expect(next.code).toBe(0);
        expect((await leftoversAfter(world.store, 3)).filter((line) => !before.has(line))).toEqual([]);
        const fsck = await world.berth(['system', 'fsck']);
        expect(fsck.output).not.toMatch(/problem: /);
        expect(fsck.code).toBe(0);
      }
      const after = await startJob(world, 'first').ended;
      expect(after.output).toContain('tested sha256:');
      expect(after.code).toBe(0);
    });
  });
});

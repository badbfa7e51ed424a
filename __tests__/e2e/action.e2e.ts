import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeApp } from '../helpers/action-app.ts';
import { bundleAction, type ActionBundle } from '../helpers/action-bundle.ts';
import { HELPER } from '../helpers/berth.ts';
import { startCacheServer, type CacheServer } from '../helpers/cache-server.ts';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { createJob, type Job, type StepOptions } from '../helpers/runner.ts';
import { NO_ACCOUNTS, removeAccounts, takeAccount } from './support/account.ts';

const reason = NO_ACCOUNTS ?? (hasProgram('docker-registry') ? undefined : 'no docker-registry');
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`action: ${reason}`);

suite('the Action on a runner that is not root', () => {
  let bundle: ActionBundle;
  let shared: string;
  let registry: DockerRegistry;
  let cache: CacheServer;
  let job: Job;
  beforeAll(async () => {
    bundle = await bundleAction();
    chmodSync(dirname(dirname(bundle.script)), 0o755);
    // Where the checkout lies other users may not read.
    shared = mkdtempSync(join(tmpdir(), 'berth-shared-'));
    chmodSync(shared, 0o755);
    copyFileSync(HELPER, join(shared, 'berth-native'));
    chmodSync(join(shared, 'berth-native'), 0o755);
  });
  afterAll(async () => {
    await bundle.remove();
    rmSync(shared, { recursive: true });
    removeAccounts();
  });
  beforeEach(async () => {
    registry = await startDockerRegistry();
    cache = await startCacheServer();
  });
  afterEach(async () => {
    await job.close();
    await cache.close();
    await registry.close();
  });

  function options(tag: string): StepOptions {
    return {
      event: { repository: { default_branch: 'main' } },
      with: { tags: `${registry.address}/app:${tag}`, 'smoke-test': 'smoke-test.yaml', push: 'true' },
      env: {
        BERTH_NATIVE: join(shared, 'berth-native'),
        ACTIONS_CACHE_SERVICE_V2: 'True',
        ACTIONS_RESULTS_URL: cache.url,
        ACTIONS_RUNTIME_TOKEN: cache.token([{ Scope: 'refs/heads/main', Permission: 3 }]),
      },
    };
  }

  test.each([
    ['sudo', 'isolation root, through sudo'],
    ['subuid', 'isolation userns '],
  ] as const)('as a user with %s: cold, then nothing changed, and nothing left', async (kind, isolation) => {
    const account = takeAccount(kind);
    job = await createJob({ script: bundle.script, as: account });
    await writeApp(job.workspace);
    const runs: Readonly<Record<string, string>>[] = [];
    for (const tag of ['1', '2']) {
      const given = options(tag);
      const done = await job.main(given);
      expect({ code: done.exitCode, annotations: done.annotations }).toEqual({ code: 0, annotations: [] });
      expect(done.log).toContain(isolation);
      expect(done.outputs['tested-digest']).toBe(done.outputs['digest']);
      expect((await job.post(given)).exitCode).toBe(0);
      expect((await readdir(job.temp)).filter((name) => name.startsWith('berth'))).toEqual([]);
      await job.nextJob();
      runs.push(done.outputs);
    }
    expect(runs[1]).toMatchObject({ digest: runs[0]?.['digest'], 'steps-cached': runs[0]?.['steps-total'] });
  });
});

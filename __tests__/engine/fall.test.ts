import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '../../engine/base/progress.ts';
import { HELPER, NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
if (NO_CONTAINERS !== undefined) console.log(`fall: ${NO_CONTAINERS}`);

/** What the probe says of a rung that holds, and what it says where the kernel takes no device rules. */
const HOLDS =
  '"name":"root","possible":true,"reason":null,"hint":null,"idMap":\\{"kind":"root"\\}(,"lacksDeviceRules":false)?';
const LACKS =
  '"name":"root","possible":false,"reason":"limit devices: no program","hint":null,"idMap":null,"lacksDeviceRules":true';

suite('where root is not possible for want of device rules', () => {
  let folder: string;
  let here: TestEngine;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-fall-'));
    const helper = join(folder, 'helper');
    const edited = `exec 3>&2; "${HELPER}" "$@" 2>&1 >&4 | sed -E 's/${HOLDS}/${LACKS}/' >&3`;
    await writeFile(helper, `#!/bin/sh\nexec 4>&1\n[ "$1" = probe ] || exec "${HELPER}" "$@"\n${edited}\n`);
    await chmod(helper, 0o755);
    here = await openTestEngine({ helper, isolation: 'auto' });
  });
  afterEach(async () => {
    await here.close();
    await rm(folder, { recursive: true });
  });

  test('the first step of a build says so, and the first run warns', async () => {
    const said = 'isolation is userns-full, as root is not possible here: limit devices: no program';
    const built = await here.build(`${SHELL}RUN true\n`, { tags: ['box'] });
    expect(built.output.split(said)).toHaveLength(2);

    const events: ProgressEvent[] = [];
    const again = await here.again();
    for (let count = 0; count < 2; count += 1) {
      const run = await again.containers.run(
        { image: 'box', command: ['/bin/true'], network: 'none', rm: true },
        { onEvent: (event) => events.push(event) },
      );
      expect((await run.ended).exitCode).toBe(0);
    }
    expect(events.filter(({ type }) => type === 'warning')).toEqual([{ type: 'warning', message: said }]);
    await again.close();
  });
});

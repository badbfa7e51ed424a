import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Peer } from '../peers/types.ts';
import type { Workload } from './types.ts';

/** W4 and W5: push and pull of what W1 built. */
export const transfer: Workload = async ({ registry, folder }) => {
  await mkdir(folder, { recursive: true });
  const repository = (peer: Peer): string => `${registry}/bench/${peer.name.replaceAll(/\W+/g, '-')}`;
  return [
    {
      name: 'W4 cold',
      title: 'push to an empty repository',
      // Another last layer a run, or the registry would know the image; the big layers are known only in other repositories.
      prepare: async (peer, run) => await variant(peer, join(folder, 'variant'), run),
      act: async (peer, run) => await peer.push('bench-push', `${repository(peer)}-${run}:latest`),
    },
    {
      name: 'W4 present',
      title: 'push again, all blobs there',
      prepare: async () => undefined,
      act: async (peer, run) => await peer.push('bench-push', `${repository(peer)}-${run}:again`),
    },
    {
      name: 'W5',
      title: 'pull and unpack',
      prepare: async (peer, run) => {
        const pushed = ['latest', 'again'].map((tag) => `${repository(peer)}-${run}:${tag}`);
        // The prune that comes with the first takes the others along, with some tools.
        for (const tag of [...pushed, 'bench-push', 'bench-ml']) await peer.remove(tag).catch(() => undefined);
        await peer.forget();
      },
      act: async (peer, run) => await peer.pull(`${repository(peer)}-${run}:latest`),
      after: async (peer, run) => await peer.remove(`${repository(peer)}-${run}:latest`),
    },
  ];
};

async function variant(peer: Peer, folder: string, run: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'Dockerfile'), 'FROM python:3.11-slim\nCOPY files /files\n');
  await mkdir(join(folder, 'files'), { recursive: true });
  await writeFile(join(folder, 'files/run'), `${peer.name} ${run}\n`);
  for (let file = 0; file < 2000; file += 1) {
    await writeFile(join(folder, 'files', `module-${file}.py`), source(file));
  }
  await peer.build(folder, 'bench-push');
}

/** Some 20 KB that look like code and differ from file to file. */
function source(file: number): string {
  return Array.from({ length: 400 }, (_, line) => `value_${line} = compute(${file * line}, name="field ${line}")`).join(
    '\n',
  );
}

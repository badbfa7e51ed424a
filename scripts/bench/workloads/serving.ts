import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firstByte } from '../measure.ts';
import type { Peer } from '../peers/types.ts';
import type { Workload } from './types.ts';

const FIRST_PORT = 18_300;

/** W6: a small server, so that the engine's own time is what is seen. */
export const serving: Workload = async ({ folder }) => {
  await mkdir(folder, { recursive: true });
  await copyFile('/bin/busybox', join(folder, 'busybox'));
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  await writeFile(join(folder, 'index.html'), 'ready\n');
  let port = FIRST_PORT;
  const serve = async (peer: Peer, network: 'host' | 'own'): Promise<void> => {
    port += 1;
    await peer.start('bench-serve', `bench-${port}`, { port, network });
    await firstByte(port);
    await peer.stop(`bench-${port}`);
  };
  return [
    {
      name: 'W6 serve',
      title: "start in the background in the host's network, first HTTP byte, remove by force",
      samples: 7,
      prepare: async (peer, sample) => (sample === 0 ? await peer.build(folder, 'bench-serve') : undefined),
      act: async (peer) => await serve(peer, 'host'),
    },
    {
      name: 'W6 publish',
      title: 'the same in a network of its own with a published port, for tools that have one on this machine',
      samples: 7,
      prepare: async () => undefined,
      can: ({ publishes }) => publishes,
      act: async (peer) => await serve(peer, 'own'),
    },
    {
      name: 'W6 true',
      title: 'run --rm --network none IMAGE true',
      samples: 7,
      prepare: async () => undefined,
      act: async (peer) => await peer.runOnce('bench-serve', ['/bin/busybox', 'true']),
    },
  ];
};

const dockerfile = `FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
ENV PORT=8000
EXPOSE 8000
CMD ["/bin/busybox", "sh", "-c", "exec /bin/busybox httpd -f -h /www -p $PORT"]
`;

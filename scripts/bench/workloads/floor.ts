import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../measure.ts';
import type { Floor } from './types.ts';

/** A command in a folder with the files of a base image, as root of its own namespaces: what a RUN does, without the engine around it. */
export function commandFloor(
  folder: string,
  {
    image,
    command,
    bind,
  }: { readonly image: string; readonly command: string; readonly bind: readonly [from: string, to: string] },
): Floor | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const root = join(folder, 'root');
  const [from, to] = bind;
  return {
    title: 'the command of its RUN in a plain folder with the files of the base image',
    prepare: async (peer) => {
      await rm(root, { recursive: true, force: true });
      await mkdir(root, { recursive: true });
      await peer.unpack?.(image, root);
      await mkdir(join(root, to), { recursive: true });
    },
    act: async () => {
      const script = `mount --bind "$1" "$2$3" && mount -t proc proc "$2/proc" && exec chroot "$2" /bin/sh -c "$4"`;
      const args = [
        '--mount',
        '--pid',
        '--fork',
        '--ipc',
        '--uts',
        '/bin/sh',
        '-ec',
        script,
        'sh',
        from,
        root,
        to,
        command,
      ];
      await run({ program: 'unshare', args });
    },
  };
}

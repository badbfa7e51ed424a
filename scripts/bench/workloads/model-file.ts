import { createCipheriv } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workload } from './types.ts';

const MEBIBYTE = 1 << 20;

/** W2 and W3: an image with a model file of 1 GiB, which another run has not seen. */
export const modelFile: Workload = async ({ folder }) => {
  const kinds = [
    { name: 'W2', title: 'COPY of a 1 GiB model file, incompressible', repeat: 1 },
    { name: 'W3', title: 'COPY of a 1 GiB model file, compressible', repeat: 16 },
  ];
  return kinds.map(({ name, title, repeat }) => {
    const context = join(folder, name);
    return {
      name,
      title,
      prepare: async (peer, run) => {
        await mkdir(context, { recursive: true });
        await writeFile(join(context, 'Dockerfile'), 'FROM python:3.11-slim\nCOPY model.bin /model.bin\n');
        await writeModel(join(context, 'model.bin'), `${name} ${peer.name} ${run}`, repeat);
        await peer.forget();
      },
      act: async (peer) => await peer.build(context, `bench-${name.toLowerCase()}`),
      after: async (peer) => await peer.remove(`bench-${name.toLowerCase()}`),
    };
  });
};

/** Writes 1 GiB that depends on `seed`; each block of 64 KiB stands there `repeat` times. */
async function writeModel(path: string, seed: string, repeat: number): Promise<void> {
  const key = Buffer.alloc(16, seed);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const blocks = 16 / repeat;
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < 1024; written += 1) {
      const fresh = stream.update(Buffer.alloc(blocks * 65_536));
      const parts = Array.from({ length: blocks }, (_, at) => fresh.subarray(at * 65_536, (at + 1) * 65_536));
      const bytes = Buffer.concat(parts.flatMap((part) => Array.from({ length: repeat }, () => part)));
      if (bytes.length !== MEBIBYTE) throw new Error('a block has another size');
      await file.write(bytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

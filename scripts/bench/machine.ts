import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** The machine, and what bounds every tool on it. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memory: number;
  readonly kernel: string;
  /** MB/s on one core. */
  readonly sha256: number;
  readonly gzip: number;
  /** MB/s of a file written and synced where the benchmark's state is. */
  readonly write: number;
}

const MEBIBYTES = 256;

/** Measures it; takes a few seconds. */
export async function describeMachine(folder: string): Promise<Machine> {
  const block = randomBytes(1 << 20);
  const text = Buffer.from(await readFile(process.execPath)).subarray(0, 32 << 20);
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    sha256: rate(MEBIBYTES, () => hash(block)),
    gzip: rate(text.length >> 20, () => void gzipSync(text, { level: 6 })),
    write: await writeRate(folder, block),
  };
}

function hash(block: Uint8Array): void {
  const hash = createHash('sha256');
  for (let done = 0; done < MEBIBYTES; done += 1) hash.update(block);
  hash.digest();
}

function rate(mebibytes: number, act: () => void): number {
  const begun = performance.now();
  act();
  return perSecond(mebibytes, begun);
}

async function writeRate(folder: string, block: Uint8Array): Promise<number> {
  const place = await mkdtemp(join(folder, 'write-'));
  const file = await open(join(place, 'file'), 'w');
  const begun = performance.now();
  try {
    for (let done = 0; done < MEBIBYTES; done += 1) await file.write(block);
    await file.sync();
    return perSecond(MEBIBYTES, begun);
  } finally {
    await file.close();
    await rm(place, { recursive: true });
  }
}

function perSecond(mebibytes: number, begun: number): number {
  return Math.round((mebibytes * 1.048_576) / ((performance.now() - begun) / 1000));
}

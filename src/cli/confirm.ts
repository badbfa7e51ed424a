import type { Context } from './context.ts';

/** Asks, as Docker's prune does; where there is nobody to ask, the answer is what standard input says, and no otherwise. */
export async function confirm({ stdin, stdout, signal }: Context, warning: string): Promise<boolean> {
  stdout.write(`${warning}\nAre you sure you want to continue? [y/N] `);
  // Loaded here: most commands ask nothing.
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: stdin });
  try {
    // The first line, or none at the end of the input.
    const answer = await Promise.race([
      lines[Symbol.asyncIterator]()
        .next()
        .then(({ value }) => (typeof value === 'string' ? value : '')),
      new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve(''), { once: true })),
    ]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

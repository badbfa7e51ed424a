import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Names the engine by its bytes: this bundle, the helper, and the isolation in use. What passed with another one is tested again. */
export async function engineIdentity(helper: string, rung: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of [fileURLToPath(import.meta.url), helper]) {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  }
  return `${hash.digest('hex').slice(0, 32)}-${rung}`;
}

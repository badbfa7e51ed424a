// Bundles the command line and the Action into dist/, complete and runnable without node_modules.
import { readFile, writeFile, rm, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, root } from './bundle.mjs';

for (const folder of ['cli', 'action']) await rm(join(root, 'dist', folder), { recursive: true, force: true });
await mkdir(join(root, 'dist'), { recursive: true });
const inputs = await bundle(join(root, 'dist'));
await writeFile(join(root, 'dist/licenses.txt'), await licences(inputs));

/** The licence texts of every package that went into a bundle. */
async function licences(inputs) {
  // A package inside another is one of its own: it may have another version, and another licence.
  const folders = new Set();
  for (const path of inputs) {
    const match = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/(?!.*node_modules\/))/.exec(path);
    if (match) folders.add(match[0]);
  }
  const texts = [];
  for (const folder of [...folders].sort()) {
    const {
      name,
      license = 'unknown',
      version,
    } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const text = await firstOf(join(root, folder), [
      'LICENSE',
      'LICENSE.md',
      'LICENSE.txt',
      'license',
      'license.md',
      'LICENCE',
    ]);
    texts.push(`${name} ${version}\n${license}\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

async function firstOf(folder, names) {
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '(the package ships no licence file)';
}

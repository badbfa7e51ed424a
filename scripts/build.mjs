// Bundles the command line and the Action into dist/, complete and runnable without node_modules.
import { writeFile, rm, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, root } from './bundle.mjs';
import { licences } from './licenses.mjs';

for (const folder of ['cli', 'action']) await rm(join(root, 'dist', folder), { recursive: true, force: true });
await mkdir(join(root, 'dist'), { recursive: true });
const inputs = await bundle(join(root, 'dist'));
await writeFile(join(root, 'dist/licenses.txt'), await licences(inputs));

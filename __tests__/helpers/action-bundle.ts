import { build } from 'esbuild';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The Action as it is shipped, made from the sources at hand; CI proves that dist/ is the same. */
export interface ActionBundle {
  /** Path that `main` and `post` of action.yml would name. */
  readonly script: string;
  readonly remove: () => Promise<void>;
}

const ROOT = resolve(import.meta.dirname, '../..');

export async function bundleAction(): Promise<ActionBundle> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-action-'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: { 'cli/index': 'src/cli/index.ts', 'action/index': 'src/action/index.ts' },
    outdir: folder,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // As in scripts/build.mjs: packages that are CommonJS inside call `require`.
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    define: { BERTH_VERSION: '"0.0.1"' },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  return { script: join(folder, 'action/index.js'), remove: () => rm(folder, { recursive: true, force: true }) };
}

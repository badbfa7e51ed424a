// How the command line and the Action become files that run without node_modules: for dist/, and for the tests that run them.
import { build } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

/**
 * Bundles both into `outdir`. Blanks and syntax are shortened, which takes a third off; names stay, so that a stack trace says where it was.
 * Nobody reviews 100,000 lines of generated code: CI makes them again and compares.
 *
 * @returns the paths of all that went in
 */
export async function bundle(outdir) {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const hashes = await readFile(join(root, 'dist/native/native.sha256'), 'utf8').catch(() => '');
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { 'cli/index': 'src/cli/index.ts', 'action/index': 'src/action/index.ts' },
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    legalComments: 'none',
    // Packages that are CommonJS inside call `require`.
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    define: { BERTH_VERSION: JSON.stringify(version), BERTH_NATIVE_HASHES: JSON.stringify(hashes) },
  });
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n');
  return Object.keys(metafile.inputs);
}

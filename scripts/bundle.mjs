// How the command line and the Action become files that run without node_modules: for dist/, and for the tests that run them.
import { build } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

/**
 * Bundles both into `outdir`. Blanks and syntax are shortened, which takes a third off; names stay, so that a stack trace says where it was.
 * Nobody reviews 100,000 lines of generated code: CI makes them again and compares.
 *
 * The command line is split where it imports dynamically, so that a command reads what it needs: each file beside `cli/index.js` belongs to
 * it, and bears the hash of its content. The Action starts twice a job, and is one file.
 *
 * @returns the paths of all that went in
 */
export async function bundle(outdir) {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const hashes = await readFile(join(root, 'dist/native/native.sha256'), 'utf8').catch(() => '');
  const options = {
    ...bundleOptions,
    outdir,
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    legalComments: 'none',
    define: { BERTH_VERSION: JSON.stringify(version), BERTH_NATIVE_HASHES: JSON.stringify(hashes) },
  };
  const cli = {
    entryPoints: { 'cli/index': 'src/cli/index.ts' },
    splitting: true,
    chunkNames: 'cli/[name]-[hash]',
    plugins: [slimUndici],
  };
  const made = [
    await build({ ...options, ...cli }),
    await build({ ...options, entryPoints: { 'action/index': 'src/action/index.ts' }, plugins: [slimUndici] }),
  ];
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n');
  await startWithoutNodesFlags(join(outdir, 'cli/index.js'));
  return [...new Set(made.flatMap(({ metafile }) => Object.keys(metafile.inputs)))];
}

/**
 * Lets the command line start by a shell that says `--` to Node, which otherwise reads `--env-file` among our words as its own: a missing file
 * ends it, and NODE_OPTIONS in one, meant for a container, is obeyed. To JavaScript the line is a string and a comment.
 */
async function startWithoutNodesFlags(path) {
  const text = await readFile(path, 'utf8');
  const start = `#!/bin/sh\n':' //; exec node -- "$0" "$@"\n`;
  await writeFile(
    path,
    text.replace(/^#!.*\n/, () => start),
  );
}

/** What every bundle of ours is made with. */
export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  // Packages that are CommonJS inside call `require`.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
};

/** Takes the parts of undici that our sources need, so that a command which asks a registry starts in less time. Packages have their own. */
const slimUndici = {
  name: 'slim-undici',
  setup({ onResolve }) {
    const part = (name) => ({ path: join(root, 'scripts/bundle', `${name}.cjs`) });
    const onlyFrom =
      (folders, name) =>
      ({ importer }) =>
        folders.some((folder) => relative(root, importer).startsWith(`${folder}/`)) ? part(name) : undefined;
    onResolve({ filter: /^undici$/ }, onlyFrom(['src', 'engine'], 'undici'));
    onResolve({ filter: /\/client-h2\.js$/ }, onlyFrom(['node_modules/undici'], 'http2'));
  },
};

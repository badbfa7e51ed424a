// How the command line and the Action become files that run without node_modules: for dist/, and for the tests that run them.
import { build, transform } from 'esbuild';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

/**
 * Bundles both into `outdir`. Blanks and syntax are shortened, which takes a third off; names stay, so that a stack trace says where it was.
 * Nobody reviews 100,000 lines of generated code: CI makes them again and compares.
 *
 * The command line is split where it imports dynamically, so that a command reads what it needs: each file beside `cli/index.js` belongs to
 * it, and bears the hash of its content. They are CommonJS, which Node starts quicker and whose functions can be kept compiled
 * (src/cli/parts.ts). The Action starts twice a job, and is one file.
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
  const action = await build({
    ...options,
    entryPoints: { 'action/index': 'src/action/index.ts' },
    plugins: [slimUndici],
  });
  const made = [...(await bundleCommandLine(outdir, options)), action];
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n');
  return [...new Set(made.flatMap(({ metafile }) => Object.keys(metafile.inputs)))];
}

/** Its parts are made as ECMAScript modules, which esbuild can split, and made CommonJS one by one. */
async function bundleCommandLine(outdir, options) {
  const folder = join(outdir, 'cli');
  const program = await build({
    ...options,
    banner: {},
    entryPoints: { 'cli/main': 'src/cli/main.ts' },
    entryNames: '[dir]/[name]-[hash]',
    splitting: true,
    chunkNames: 'cli/[name]-[hash]',
    plugins: [slimUndici],
    write: false,
  });
  await mkdir(folder, { recursive: true });
  const { minifyWhitespace, minifySyntax, target } = options;
  for (const { path, text } of program.outputFiles) {
    const { code } = await transform(text, {
      format: 'cjs',
      platform: 'node',
      ...{ minifyWhitespace, minifySyntax, target },
      supported: { 'dynamic-import': false },
      define: { 'import.meta.filename': '__filename' },
      banner: '"use strict";',
    });
    await writeFile(
      join(folder, basename(path)),
      `(function(exports,require,module,__filename){${toAscii(code.trimEnd())}\n})\n`,
    );
  }
  const [main] = Object.entries(program.metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === 'src/cli/main.ts',
  );
  const entry = await build({
    ...options,
    banner: {},
    format: 'cjs',
    entryPoints: { 'cli/index': 'src/cli/bundled.ts' },
    define: { BERTH_MAIN: JSON.stringify(basename(main)) },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  await startWithoutNodesFlags(join(folder, 'index.js'));
  return [program, entry];
}

/** What esbuild leaves are characters of regular expressions, where the escape means the same; a part is read a byte a character. */
function toAscii(code) {
  return code.replace(/[^\x00-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
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

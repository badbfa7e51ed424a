// The licences of what is in dist/: npm packages in the bundles, and what is linked into the helper.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ARCHITECTURES } from './native.mjs';
import { has } from './system.mjs';

const root = new URL('..', import.meta.url).pathname;
const LINE = `\n${'-'.repeat(80)}\n\n`;
const NAMES = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'license.md', 'LICENCE'];

/**
 * All of `dist/licenses.txt`.
 *
 * @param {readonly string[]} inputs paths that went into a bundle
 */
export async function licences(inputs) {
  return `${[...(await packages(inputs)), ...helper()].join(LINE)}`;
}

/** The licence texts of every package that went into a bundle. */
async function packages(inputs) {
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
    texts.push(`${name} ${version}\n${license}\n\n${(await firstOf(join(root, folder), NAMES)).trim()}\n`);
  }
  return texts;
}

async function firstOf(folder, names) {
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '(the package ships no licence file)';
}

/**
 * The part of the helper: what Cargo.lock and the toolchain decide. Where cargo is missing, the part that is there stays, as long as it is of this
 * very lock file.
 */
function helper() {
  const pins = ['native/Cargo.lock', 'native/rust-toolchain.toml'].map((path) => readFileSync(join(root, path)));
  const hash = createHash('sha256').update(Buffer.concat(pins)).digest('hex');
  const head = `Linked into the helper berth-native (pins ${hash})\n`;
  if (has('cargo')) return [head, runtime(), ...crates()];
  const path = join(root, 'dist/licenses.txt');
  const committed = existsSync(path) ? readFileSync(path, 'utf8').split(LINE) : [];
  const at = committed.indexOf(head);
  if (at < 0) throw new Error('Cannot list the licences of the helper: cargo is missing (https://rustup.rs)');
  return committed.slice(at);
}

/** Every crate that is linked, on either architecture. A text that several have is printed once. */
function crates() {
  const found = new Map();
  for (const architecture of ARCHITECTURES) for (const crate of linked(architecture)) found.set(crate.id, crate);
  const seen = new Map();
  return [...found.values()]
    .sort((a, b) => compare(`${a.name} ${a.version}`, `${b.name} ${b.version}`))
    .map((crate) => describe(crate, seen));
}

/** The crates of other people below the helper by normal dependencies; what only makes code at build time is left out. */
function linked(architecture) {
  const args = [
    'metadata',
    '--locked',
    '--format-version',
    '1',
    '--filter-platform',
    `${architecture}-unknown-linux-musl`,
  ];
  const { status, stdout, stderr } = spawnSync('cargo', args, {
    cwd: join(root, 'native'),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`cargo metadata ended with ${status}: ${stderr}`);
  const { packages: all, resolve } = JSON.parse(stdout);
  const crateOf = new Map(all.map((crate) => [crate.id, crate]));
  const nodeOf = new Map(resolve.nodes.map((node) => [node.id, node]));
  const reached = new Set();
  const pending = [all.find(({ name }) => name === 'berth-helper').id];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const isMacro = crateOf.get(id).targets.some(({ kind }) => kind.includes('proc-macro'));
    if (isMacro || reached.has(id)) continue;
    reached.add(id);
    pending.push(
      ...nodeOf
        .get(id)
        .deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind === null))
        .map(({ pkg }) => pkg),
    );
  }
  return [...reached].map((id) => crateOf.get(id)).filter(({ source }) => source !== null);
}

function describe({ name, version, license, authors, manifest_path: manifest }, seen) {
  const folder = dirname(manifest);
  const texts = files(folder).map((file) => {
    const text = readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim();
    const first = seen.get(text);
    if (first !== undefined) return `${file}: as ${first}`;
    seen.set(text, `${file} of ${name} ${version}`);
    return `${file}:\n\n${text}`;
  });
  const none = `(the crate ships no licence file; authors: ${authors.length > 0 ? authors.join(', ') : 'not named'})`;
  return `${name} ${version}\n${license ?? 'unknown'}\n\n${texts.length > 0 ? texts.join('\n\n') : none}\n`;
}

/** Licence files of a crate, and of a C library in a folder of it. */
function files(folder) {
  const here = licenceFiles(folder, '');
  const inside = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const all = licenceFiles(join(folder, name), `${name}/`);
      // zstd is under its LICENSE or, as one likes, under the GPL of its COPYING.
      const chosen = all.filter((file) => !file.endsWith('/COPYING'));
      return chosen.length > 0 ? chosen : all;
    });
  return [...here, ...inside].sort(compare);
}

function licenceFiles(folder, prefix) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /^(un)?licen[cs]e|^copying|^copyright|^notice/i.test(entry.name))
    .map(({ name }) => `${prefix}${name}`);
}

/** What the toolchain links by itself. */
function runtime() {
  const channel = /^channel = "(.*)"$/m.exec(readFileSync(join(root, 'native/rust-toolchain.toml'), 'utf8'))?.[1];
  return [
    `The standard library of Rust ${channel}\nMIT OR Apache-2.0\n\nCopyright (c) The Rust Project Contributors\n`,
    'The C library musl, in the form that Rust ships\nMIT\n\nCopyright © 2005-2020 Rich Felker, et al.\n',
    `Both, under the MIT licence:\n\n${MIT}\n`,
  ].join('\n');
}

/** By code units: the order of no language. */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE
OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

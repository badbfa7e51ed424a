import { isEngineError, messageOf, type ImageFiles, type LookedFile } from '../../../engine/index.ts';
import { SlowRegexError } from '../regex.ts';
import type { Mask } from '../text.ts';
import { quote } from './context.ts';
import { expand, type Variables } from './expand.ts';
import { goMode } from './go-mode.ts';
import { matchesGo, type GoRegex } from './go-regex.ts';
import type { ContentTest, ExistenceTest, LicenseTest } from './types.ts';

/** Bytes that a file under test may have. */
const MAX_FILE = 64 << 20;

/** In what a path is not as a test wants it. The last link of a path is not followed, as `docker cp` does not. */
export async function existenceProblems(
  test: ExistenceTest,
  files: ImageFiles,
  env: Variables,
): Promise<readonly string[]> {
  const path = expand(test.path, env);
  const [found] = await files.look([absolute(path)]);
  if (!test.shouldExist) return found === undefined ? [] : [`${path}: wanted nothing, there is a ${found.kind}`];
  if (found === undefined) return [`${path}: there is no such file in the image`];
  return [...modeProblems(test, path, found), ...ownerProblems(test, path, found)];
}

function modeProblems(test: ExistenceTest, path: string, { kind, mode }: LookedFile): readonly string[] {
  const got = goMode(kind, mode);
  const { permissions, isExecutableBy } = test;
  const bits = isExecutableBy === undefined ? 0 : EXECUTABLE[isExecutableBy];
  return [
    ...(permissions === undefined || permissions === got
      ? []
      : [`${path}: wanted permissions ${permissions}, got ${got}`]),
    ...(isExecutableBy === undefined || (mode & bits) !== 0
      ? []
      : [`${path}: wanted it to be executable by ${isExecutableBy}, got ${got}`]),
  ];
}

const EXECUTABLE = { any: 0o111, owner: 0o100, group: 0o010, other: 0o001 } as const;

function ownerProblems({ uid, gid }: ExistenceTest, path: string, found: LookedFile): readonly string[] {
  return [
    ...(uid === undefined || uid === found.uid ? [] : [`${path}: wanted uid ${uid}, got ${found.uid}`]),
    ...(gid === undefined || gid === found.gid ? [] : [`${path}: wanted gid ${gid}, got ${found.gid}`]),
  ];
}

/** In what the content of a file is not as a test wants it. */
export async function contentProblems(
  test: ContentTest,
  files: ImageFiles,
  { env, mask }: { readonly env: Variables; readonly mask: Mask },
): Promise<readonly string[]> {
  const path = expand(test.path, env);
  const read = await readText(path, files);
  return 'problem' in read ? [read.problem] : textProblems(path, read.text, test, mask);
}

/** In what a text is not as patterns want it: every expected one matches somewhere, no excluded one does. */
export function textProblems(
  what: string,
  text: string,
  { expected, excluded }: { readonly expected: readonly GoRegex[]; readonly excluded: readonly GoRegex[] },
  mask: Mask,
): readonly string[] {
  const check = (pattern: GoRegex, isWanted: boolean): readonly string[] => {
    try {
      if (matchesGo(pattern, text) === isWanted) return [];
    } catch (error) {
      if (error instanceof SlowRegexError) return [`${what}: /${pattern.written}/ takes too long on it`];
      throw error;
    }
    const wanted = isWanted ? `a match of /${pattern.written}/` : `no match of /${pattern.written}/`;
    return [`${what}: wanted ${wanted}, got ${quote(text, mask)}`];
  };
  return [
    ...expected.flatMap((pattern) => check(pattern, true)),
    ...excluded.flatMap((pattern) => check(pattern, false)),
  ];
}

const DOC = '/usr/share/doc';
/** Names that a copyright file must not have, and a package whose file names them without being under them: the tool's own lists. */
const SHUNNED = ['AGPL', 'WTFPL'];
const EXCUSED: ReadonlySet<string> = new Set(['libgnutls30']);

/** Which copyright files name a licence that is shunned, or are not there. */
export async function licenseProblems(test: LicenseTest, files: ImageFiles): Promise<readonly string[]> {
  const packages = test.debian ? await debianPackages(files) : [];
  if (packages === undefined) return [`${DOC}: there is no such folder in the image`];
  const paths = [...packages.map((name) => `${DOC}/${name}/copyright`), ...test.files];
  const problems: string[] = [];
  for (const path of paths) problems.push(...(await licenseProblem(path, files)));
  return problems;
}

async function debianPackages(files: ImageFiles): Promise<readonly string[] | undefined> {
  const [folder] = await files.look([DOC], { follow: true, list: true });
  if (folder?.names === undefined) return undefined;
  const { names } = folder;
  const found = await files.look(names.map((name) => `${DOC}/${name}`));
  return names.filter((name, index) => found[index]?.kind === 'directory' && !EXCUSED.has(name));
}

async function licenseProblem(path: string, files: ImageFiles): Promise<readonly string[]> {
  const read = await readText(path, files);
  if ('problem' in read) return [read.problem];
  const name = SHUNNED.find((word) => read.text.toUpperCase().includes(word));
  return name === undefined ? [] : [`${path}: the licence names ${name}`];
}

async function readText(
  path: string,
  files: ImageFiles,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  try {
    return { text: Buffer.from(await files.read(absolute(path), { maxBytes: MAX_FILE })).toString('utf8') };
  } catch (error) {
    if (isEngineError(error, 'NATIVE_NOT_FOUND')) return { problem: `${path}: there is no such file in the image` };
    if (isEngineError(error, 'NATIVE_INVALID')) return { problem: `${path}: ${messageOf(error)}` };
    throw error;
  }
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

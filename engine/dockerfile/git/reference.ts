import { suggest } from '../../base/suggest.ts';
import { posix } from 'node:path';
import { SyntaxMistake } from '../errors.ts';
import { parseGitUrl, restOf, type GitUrl } from './url.ts';

/** A repository as build context or source of ADD: `url#ref:subdir` or `url?ref=…&subdir=…`. */
export interface GitReference {
  readonly remote: string;
  /** Last element of its path, without `.git`. */
  readonly shortName: string;
  /** Branch, tag, full ref or commit; undefined: what the remote's HEAD says. */
  readonly ref?: string | undefined;
  readonly subdir?: string | undefined;
  /** Commit, or the beginning of one, that the ref must lead to. */
  readonly checksum?: string | undefined;
  readonly keepGitDir?: boolean | undefined;
  readonly submodules?: boolean | undefined;
  /** Times of the files: of the checkout, or of the commit. */
  readonly mtime?: 'checkout' | 'commit' | undefined;
  readonly fetchByCommit?: boolean | undefined;
  /** `github.com/…` without a scheme: a context, never a source of ADD. */
  readonly isLikeLocal: boolean;
}

/**
 * Reads a git reference.
 *
 * @returns undefined when the text is none: a path, or a URL of something else
 * @throws SyntaxMistake for one with parameters that are wrong
 */
export function parseGitReference(text: string): GitReference | undefined {
  if (/^\.\.?\//.test(text)) return undefined;
  if (text.startsWith('github.com/')) {
    const [, remote = '', query, fragment] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? [];
    return toReference({ ...restOf(query, fragment), remote, path: remote }, true);
  }
  const url = parseGitUrl(text);
  // A page of a web server is a repository only when its name says so.
  if (!url || (/^https?$/.test(url.scheme) && !url.path.endsWith('.git'))) return undefined;
  return toReference(url, false);
}

/** Whether the text is the full id of a commit. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

type Parts = Pick<GitUrl, 'remote' | 'path' | 'query' | 'ref' | 'subdir'>;

function toReference({ remote, path, query, ...fragment }: Parts, isLikeLocal: boolean): GitReference {
  const value = createValues(query);
  const tag = value('tag');
  const branch = value('branch');
  if (tag !== undefined && branch !== undefined) throw wrong('branch and tag are both given');
  const named = tag === undefined ? branch && `refs/heads/${branch}` : `refs/tags/${tag}`;
  const ref = same('ref', [fragment.ref || undefined, value('ref'), named]);
  const subdir = same('subdir', [fragment.subdir || undefined, value('subdir')]);
  const checksum = same('checksum', [value('checksum'), value('commit')]);
  const flags = {
    keepGitDir: flag(query, 'keep-git-dir'),
    submodules: flag(query, 'submodules'),
    fetchByCommit: flag(query, 'fetch-by-commit'),
  };
  const shortName = posix.basename(path).replace(/\.git$/, '');
  return {
    remote,
    shortName: path.endsWith('/') ? '' : shortName,
    ref,
    subdir,
    checksum,
    ...flags,
    mtime: timeOf(value('mtime')),
    isLikeLocal,
  };
}

const KNOWN: readonly string[] = ['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', 'mtime'];
const FLAGS: readonly string[] = ['keep-git-dir', 'submodules', 'fetch-by-commit'];

function createValues(query: Parts['query']): (key: string) => string | undefined {
  for (const [key, values] of query) {
    if (!KNOWN.includes(key) && !FLAGS.includes(key)) throw unknown(key);
    if (values.length > 1) throw wrong(`"${key}" has several values`, 'Keep one of them');
    if (values[0] === '' && !FLAGS.includes(key))
      throw wrong(`"${key}" has no value`, `Write ${key}=value, or leave it out`);
  }
  return (key) => query.get(key)?.[0];
}

/** What all that are given agree on. */
function same(what: string, values: readonly (string | undefined)[]): string | undefined {
  const [first, ...others] = values.filter((value) => value !== undefined);
  const other = others.find((value) => value !== first);
  if (other !== undefined) throw wrong(`${what} is given twice: "${first ?? ''}" and "${other}"`);
  return first;
}

const TRUE = /^(?:1|t|T|true|TRUE|True|)$/;
const FALSE = /^(?:0|f|F|false|FALSE|False)$/;

function flag(query: Parts['query'], key: string): boolean | undefined {
  const value = query.get(key)?.[0];
  if (value === undefined) return undefined;
  if (TRUE.test(value)) return true;
  if (FALSE.test(value)) return false;
  throw wrong(`"${value}" is no value of ${key}`, 'Write true or false');
}

function timeOf(value: string | undefined): GitReference['mtime'] {
  if (value === undefined || value === 'checkout' || value === 'commit') return value;
  throw wrong(`"${value}" is no value of mtime`, 'Write checkout or commit');
}

function unknown(key: string): SyntaxMistake {
  const known = [...KNOWN, ...FLAGS];
  const near = suggest(key, known);
  return wrong(
    `there is no parameter "${key}"`,
    near === undefined ? `Known: ${known.join(', ')}` : `Did you mean ${near}?`,
  );
}

function wrong(state: string, hint?: string): SyntaxMistake {
  return new SyntaxMistake('bad-value', `the git reference is wrong: ${state}`, hint);
}

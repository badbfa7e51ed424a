import { posix } from 'node:path';
import { decodePercent } from '../../base/percent.ts';

/** Parts of a git URL. */
export interface GitUrl {
  readonly scheme: 'http' | 'https' | 'ssh' | 'git';
  readonly user?: string | undefined;
  readonly host: string;
  readonly path: string;
  /** Without query and fragment: what git is given. */
  readonly remote: string;
  readonly query: ReadonlyMap<string, readonly string[]>;
  /** From the fragment `#ref:subdir`. */
  readonly ref: string;
  readonly subdir: string;
}

const WITH_SCHEME = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is;
/** `user@host:path`, as ssh's own tools write it. */
const SCP = /^([\w-]+)@([\w.-]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;
const SCHEMES: readonly string[] = ['http', 'https', 'ssh', 'git'];

/** What programs read differently, so that a key for one host would go to another: `https://a\\@b/`. */
const AMBIGUOUS = /[\\\s\p{Cc}]|@.*@/u;

/** Reads a git URL in one of its two forms; undefined when it is neither, of another scheme, or ambiguous about its host. */
export function parseGitUrl(text: string): GitUrl | undefined {
  const full = WITH_SCHEME.exec(text);
  if (full) {
    const [, written = '', authority = '', path = '', query, fragment] = full;
    const scheme = written.toLowerCase();
    if (!isScheme(scheme) || AMBIGUOUS.test(authority)) return undefined;
    const at = authority.lastIndexOf('@');
    return {
      scheme,
      user: at < 0 ? undefined : authority.slice(0, at),
      host: authority.slice(at + 1),
      path,
      remote: `${scheme}://${authority}${path}`,
      ...restOf(query, fragment),
    };
  }
  const [, user, host, path = '', query, fragment] = SCP.exec(text) ?? [];
  if (user === undefined || host === undefined) return undefined;
  return { scheme: 'ssh', user, host, path, remote: `${user}@${host}:${path}`, ...restOf(query, fragment) };
}

/** Query and fragment: `ref` before the first colon, `subdir` after it, cleaned so that it does not climb out. */
export function restOf(query = '', fragment = ''): Pick<GitUrl, 'query' | 'ref' | 'subdir'> {
  const values = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) values.set(key, [...(values.get(key) ?? []), value]);
  const decoded = decodePercent(fragment);
  const colon = decoded.indexOf(':');
  const [ref, subdir] = colon < 0 ? [decoded, ''] : [decoded.slice(0, colon), decoded.slice(colon + 1)];
  return { query: values, ref, subdir: subdir === '' ? '' : posix.resolve('/', subdir).slice(1) };
}

function isScheme(text: string): text is GitUrl['scheme'] {
  return SCHEMES.includes(text);
}

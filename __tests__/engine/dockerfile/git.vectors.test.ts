import { expect, test } from '@jest/globals';
import { isCommit, parseGitReference, type GitReference } from '../../../engine/dockerfile/git/reference.ts';
import { parseGitUrl } from '../../../engine/dockerfile/git/url.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

describeVectors('git-context', () => {
  interface RefCase {
    readonly ref: string;
    readonly result?: Readonly<Record<string, unknown>>;
    readonly is_git?: boolean;
  }
  const refs = ['refs.json', 'more.json'].flatMap(
    (file) => readVectors<{ cases: RefCase[] }>('git-context', file).cases,
  );
  test.each(refs.filter(({ result }) => result))('$ref', ({ ref, result }) => {
    const found = parseGitReference(ref);
    expect(found && shown(found)).toEqual({ ...result, unencrypted_tcp: undefined });
  });
  test.each(refs.filter(({ result }) => !result))('$ref is wrong or none', ({ ref, is_git }) => {
    if (is_git) expect(() => parseGitReference(ref)).toThrow('the git reference is wrong');
    else expect(parseGitReference(ref)).toBeUndefined();
  });

  interface UrlCase {
    readonly url: string;
    readonly error?: string;
    readonly result?: Readonly<Record<string, unknown>>;
  }
  test.each(readVectors<{ cases: UrlCase[] }>('git-context/urls.json').cases)('$url', ({ url, result }) => {
    const found = parseGitUrl(url);
    if (!result) return expect(found).toBeUndefined();
    const { query, ...parts } = found ?? { query: new Map<string, readonly string[]>() };
    const empty = { user: undefined, ref: '', subdir: '', query: {} };
    expect({ ...parts, query: Object.fromEntries(query) }).toEqual({ ...empty, ...result });
  });

  interface CommitCase {
    readonly input: string;
    readonly commit_sha: boolean;
  }
  test.each(readVectors<{ cases: CommitCase[] }>('git-context/commits.json').cases)('"$input"', (one) => {
    expect(isCommit(one.input)).toBe(one.commit_sha);
  });
});

/** The words of the vectors. `unencrypted_tcp` follows from the scheme. */
function shown(found: GitReference): Readonly<Record<string, unknown>> {
  return {
    remote: found.remote,
    short_name: found.shortName,
    ref: found.ref,
    subdir: found.subdir,
    checksum: found.checksum,
    keep_git_dir: found.keepGitDir,
    submodules: found.submodules,
    mtime: found.mtime,
    fetch_by_commit: found.fetchByCommit === true ? true : undefined,
    indistinguishable_from_local: found.isLikeLocal ? true : undefined,
  };
}

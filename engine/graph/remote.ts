import { parseGitReference, SyntaxMistake, type AddInstruction, type CopyInstruction } from '../dockerfile/index.ts';
import { isDigest } from '../image/digest.ts';
import type { GitSource, HttpSource } from './types.ts';

/**
 * The repository or the URL that a source of ADD is; undefined for a path.
 *
 * @throws SyntaxMistake for one in COPY, with parameters that are wrong, or that contradict the flags
 */
export function remoteSource(
  copy: CopyInstruction | AddInstruction,
  source: string,
  checksum: string | undefined,
): HttpSource | GitSource | undefined {
  const git = parseGitReference(source);
  const remote = git && !git.isLikeLocal ? git : undefined;
  if (!remote && !/^https?:\/\//.test(source)) return undefined;
  if (copy.kind === 'copy') {
    throw new SyntaxMistake('bad-combination', `COPY takes no address: ${source}`, `Write ADD ${source}`);
  }
  if (!remote) return { type: 'http', url: readUrl(source), ...(checksum === undefined ? {} : readChecksum(checksum)) };
  const kept = agree('keep-git-dir', copy.keepGitDir, remote.keepGitDir);
  const commit = agree('checksum', checksum, remote.checksum);
  return {
    type: 'git',
    remote: remote.remote,
    ref: remote.ref,
    subdir: remote.subdir,
    checksum: commit,
    keepGitDir: kept ?? false,
    submodules: remote.submodules ?? true,
    mtime: remote.mtime,
  };
}

/** `--checksum` is for one address. @throws SyntaxMistake */
export function refuseChecksum(sources: readonly unknown[], checksum: string | undefined): void {
  if (checksum === undefined) return;
  const mistake = (message: string, hint: string): SyntaxMistake => new SyntaxMistake('bad-combination', message, hint);
  if (sources.length !== 1) {
    throw mistake(
      '--checksum cannot be given for several sources',
      'Write an ADD for each, with a checksum of its own',
    );
  }
  if (sources[0] === undefined) {
    const hint = 'Leave out --checksum: what the context holds is hashed in any case';
    throw mistake('--checksum needs a source that is a URL or a repository', hint);
  }
}

function readUrl(text: string): string {
  if (URL.canParse(text)) return text;
  throw new SyntaxMistake('bad-value', `${text} is no URL`, 'Write https://host/path');
}

function readChecksum(text: string): { readonly checksum: string } {
  if (isDigest(text)) return { checksum: text };
  throw new SyntaxMistake('bad-value', `--checksum=${text} is no digest`, 'Write sha256: and 64 hexadecimal digits');
}

function agree<T>(what: string, flag: T | undefined, parameter: T | undefined): T | undefined {
  if (flag !== undefined && parameter !== undefined && flag !== parameter) {
    const hint = `Leave out --${what}, or ${what} of the address`;
    throw new SyntaxMistake('bad-combination', `--${what} and the address disagree`, hint);
  }
  return flag ?? parameter;
}

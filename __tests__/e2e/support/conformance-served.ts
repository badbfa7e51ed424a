// What the conformance cases of our own ADD from elsewhere: a repository with a tag, a branch and links, and files.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gitHandler, startWeb } from '../../helpers/web.ts';

/** A server under way. */
export interface Served {
  /** The text of a case with the server's address for SERVED, and that of the tag's commit for COMMIT. */
  fill(text: string): string;
  close(): Promise<void>;
}

const MAKE = `
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE=2020-01-02T03:04:05Z GIT_COMMITTER_DATE=2020-01-02T03:04:05Z
git() { command git -c user.name=a -c user.email=a@b.test "$@"; }
git init -q -b main w && cd w
mkdir -p sub/deep && echo 1 > a && echo 2 > sub/b && echo 3 > sub/deep/c && chmod 755 sub/b && ln -s sub/b l && ln -s ../a sub/up
git add . && git commit -qm one && git tag -a v1 -m v1 && git tag light
git checkout -q -b feature && echo 4 > sub/d && echo '*.x export-ignore' > .gitattributes && touch k.x && git add . && git commit -qm two
git checkout -q main && echo 5 > a && git commit -qam three && git rev-parse 'v1^{commit}' > ../commit && cd ..
git clone -q --bare w repo.git && git -C repo.git config uploadpack.allowAnySHA1InWant true
mkdir files && echo body > files/file.txt && echo more > files/noext && tar -C w -czf files/a.tar.gz sub a && cp files/a.tar.gz files/wrong.txt
`;

/** Serves the repository and the files, each with a time, on a free port of loopback. */
export async function serve(): Promise<Served> {
  const folder = mkdtempSync('/var/tmp/berth-served-');
  execFileSync('bash', ['-ec', MAKE], { cwd: folder });
  const commit = readFileSync(join(folder, 'commit'), 'utf8').trim();
  const git = gitHandler(folder);
  const web = await startWeb((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname.startsWith('/repo.git/')) return git(request, response);
    const content = readFileSync(join(folder, 'files', pathname));
    response.writeHead(200, { 'last-modified': 'Tue, 01 Feb 2022 03:04:05 GMT' }).end(content);
  });
  return {
    fill: (text) => text.replaceAll('SERVED', web.origin).replaceAll('COMMIT', commit),
    close: async () => {
      await web.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

import { own, type OwnCase } from './conformance-own.ts';

const TREE = `mkdir -p x/y/z a/b/c a/bb e/empty && echo 1 > x/a.txt && echo 2 > x/y/b.txt && echo 3 > x/y/z/c.md && echo 4 > a/b/c/d.txt && echo 5 > a/bb/e.md
echo 6 > top.txt && chmod 750 x/y && chmod 600 x/a.txt && ln -s y x/link && ln -s ../a/b x/y/up && ln -s a.txt x/file && ln -s nowhere x/dangling
touch -d @1500000000 x/y/b.txt && touch -d @1400000000 x/y a/b a x`;

/** Folders that a pattern leads through. */
const WAYS: readonly string[] = [
  ...[
    'one/a',
    'one/a/b',
    'one/x',
    'two/a',
    'two/a/b',
    'two/x',
    'two/x/y',
    'three/x',
    'three/x/y',
    'four',
    'four/b',
    'four/y',
  ],
  ...[
    'five',
    'six',
    'six/b',
    'seven/x',
    'eight/a',
    'eight/a/b',
    'eight/x',
    'eight/x/y',
    'nine',
    'ten/x',
    'eleven/x',
    'eleven/x/y',
  ],
  ...['twelve/a', 'twelve/a/b', 'thirteen', 'thirteen/b'],
];

const SINGLE_WAYS: readonly string[] = [
  ...['one/a', 'one/a/b', 'one/x', 'two/x', 'three', 'three/y', 'seven', 'seven/y', 'nine/a', 'ten/x', 'eleven/x'],
  ...['w/x', 'w/deep/er/x'],
];

/** Folders on the way to single files: BuildKit gives them the clock's time, or their own, by what else is taken. */
const LINKED_WAYS: readonly string[] = [
  ...['two/x', 'three/x', 'five', 'five/x', 'five/x/y', 'six/a', 'six/x', 'eleven', 'twelve', 'twelve/x', 'twelve/x/y'],
  'thirteen',
];

/** The time of a folder, as something to leave out. */
function timeOf(path: string): string {
  return `(dir):${path.replaceAll('/', ':(dir):')}:mtime`;
}

/** What the frontend in Debian's docker refuses: its newest release alone is compared with. */
export const NEWEST: readonly OwnCase[] = [
  own(
    'sources with their parents: several, of folders and below a pivot',
    TREE,
    `FROM BUSYBOX
COPY --parents x/a.txt a/b/c/d.txt /one/
COPY --parents ./x/a.txt ./top.txt /two/
COPY --parents x/./y/b.txt a/./b /three/
COPY --parents x /four
COPY --parents x/ /five/
COPY --parents ./x/./y/z/c.md /seven/
COPY --parents e a/b/ /nine/
COPY --parents x/y/../a.txt /ten/
COPY --parents /x/a.txt /eleven/
WORKDIR /w
COPY --parents x/a.txt .
COPY --parents x/a.txt deep/er
`,
    { fs_skip: SINGLE_WAYS.map(timeOf) },
  ),
  own(
    'sources with their parents: wildcards on both sides of a pivot',
    TREE,
    `FROM BUSYBOX
COPY --parents x/*.txt a/*/c /one/
COPY --parents **/*.txt /two/
COPY --parents x/**/*.md /three/
COPY --parents ./[aex]/./*/* /four/
COPY --parents [ax]/./b* /five/
COPY --parents a/./**/*.txt /six/
COPY --parents x/?.txt nothing/* /seven/
COPY --parents **/c* /eight/
COPY --parents x/./**/ /nine/
COPY --parents */y /ten/
COPY --parents ./**/z/ /eleven/
COPY --parents a/b/** /twelve/
COPY --parents top.txt/./* a/./b /thirteen/
`,
    // Under a wildcard a folder on the way has the clock's time in BuildKit and its own here, and the destination the other way round.
    { fs_skip: WAYS.map(timeOf) },
  ),
  own(
    'sources with their parents: links on the way, owners, modes and what is left out',
    TREE,
    `FROM BUSYBOX
COPY --parents x/file x/dangling /two/
COPY --parents x/link /three/
COPY --parents --chown=5:6 x/y/b.txt /five/
COPY --parents --chmod=640 x/a.txt a/b /six/
COPY --parents --chmod=u=rwX,go=rX x /seven/
COPY --parents --exclude=**/*.md x a /eight/
COPY --parents --exclude=x/y x /nine/
COPY --parents --exclude=y/z x/./y /eleven/
COPY --parents --link x/y/b.txt /twelve/
COPY --parents --link --chown=7 a/./b /thirteen/
`,
    // The folder that is made for the files of a mode has that mode in BuildKit; see what is kept of it.
    { fs_skip: ['(dir):six', ...LINKED_WAYS.map(timeOf)] },
  ),
  own(
    'sources with their parents: of a stage, and onto what is there',
    TREE,
    `FROM BUSYBOX AS made
COPY . /src/
RUN mkdir -p /src/x/made && echo m > /src/x/made/m.txt && chmod 700 /src/a && chown -R 9:9 /src/a
FROM BUSYBOX
RUN mkdir -p /one/src/x && chmod 711 /one/src/x && echo old > /one/src/x/a.txt && ln -s /one /linked
COPY --from=made --parents /src/x/a.txt /one/
COPY --from=made --parents src/./a /two/
COPY --from=made --parents /src/./**/*.txt /three/
COPY --from=made --parents /./src/x/made /four/
COPY --from=made --parents --exclude=**/b /src/a /five/
COPY --from=made --parents /src/./x/y /linked/
COPY --from=made --parents --chown=1:2 --link /src/a/bb /seven/
COPY --from=made --parents /src/*/./* /eight/
COPY --from=made --parents /src/top.txt/./* /src/./a /nine/
`,
    { fs_skip: ['seven/src/a', 'three/a', 'three/a/b', 'three/x/y'].map(timeOf) },
  ),
  own(
    'sources with their parents that are not there',
    TREE,
    `FROM BUSYBOX
COPY --parents x/a.txt /one/
COPY --parents x/./missing /two/
`,
    { must_fail_at_line: 3 },
  ),
  own(
    'sources with their parents that climb out of what a pivot begins with',
    TREE,
    'FROM BUSYBOX\nCOPY --parents x/y/./../a.txt /one/\n',
    { must_fail_at_line: 2 },
  ),
  own('sources with their parents behind a link', TREE, 'FROM BUSYBOX\nCOPY --parents x/link/b.txt /one/\n', {
    must_fail_at_line: 2,
  }),
  own(
    'a way below a file',
    TREE,
    `FROM BUSYBOX
COPY --parents top.txt/./a /one/
`,
  ),
  own(
    'a way that is none for a file of a stage',
    TREE,
    `FROM BUSYBOX AS made
COPY . /src/
FROM BUSYBOX
COPY --from=made --parents /src/top.txt/./a /one/
`,
    { must_fail_at_line: 4 },
  ),
];

/** Cases at which the daemon of this BuildKit ends, and with it all that come after: compared with Debian's docker alone. */
export const ENDS_NEWEST: readonly string[] = ['own: a repository by tag, branch, commit and part'];

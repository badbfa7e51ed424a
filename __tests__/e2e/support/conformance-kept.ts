import { IS_NEWEST } from './conformance-reference.ts';

/** A case whose difference to Docker we keep. */
export interface Kept {
  /** What the comparison says. */
  readonly outcome: readonly string[];
  /** Why that is right. */
  readonly reason: string;
}

const WHOLE_FOLDER: Kept = {
  outcome: ['ours builds', "Docker's fails at line 3"],
  reason:
    'a folder that ends with a slash is not found as the only source of --parents by this BuildKit; with another one beside it, it is',
};

const PARENTS: Kept = {
  outcome: ['ours builds', "Docker's fails at line 3"],
  reason: 'COPY --parents is in every frontend from 1.20 on; the frontend built into this Docker is older',
};

const MOUNT_POINTS: Kept = {
  outcome: ['dev', 'proc', 'sys'].map((path) => `${path}: only in Docker's`),
  reason: 'mount points that the runtime makes for a RUN are not what the RUN did',
};

const timeBelow = (path: string, reason: string): Kept => ({
  // The time of the base image that the tests stand on.
  outcome: [`${path}: mtime 1735689600, Docker's that of the build`],
  reason: `${reason}: the same step gives the same layer on every day`,
});

const workdirTime = (path: string): Kept =>
  timeBelow(path, 'a folder that WORKDIR makes has the time of the state below');

const LINK_UP =
  'a link of the archive that leads up is followed inside the root of the image, as in Docker before Go had os.Root';

/** Those to the BuildKit in Debian's docker alone. */
const OF_DOCKER: Readonly<Record<string, Kept>> = {
  'copy--parents-all-directories': PARENTS,
  'copy--parents-two-parent-directories': PARENTS,
  'copy--parents-directory-limit-parents-unknown-count-parent-directories': PARENTS,
  'add-parent-symlink': { outcome: ['ours builds', "Docker's fails at line 2"], reason: LINK_UP },
  'own: linked copies, and one on what is there': {
    outcome: ["d: mode 755, Docker's 700"],
    reason:
      'a linked copy is a layer of its own, folders with it; the classic store of Docker copies it into what is there',
  },
};

/** Those to the newest BuildKit alone. */
const OF_NEWEST: Readonly<Record<string, Kept>> = {
  'copy--parents-all-directories': WHOLE_FOLDER,
  'copy--parents-directory-limit-parents-unknown-count-parent-directories': WHOLE_FOLDER,
  'add-parent-symlink': {
    outcome: [
      'etc: only in ours',
      'etc/myfile: only in ours',
      "testsubdir/etc: only in Docker's",
      "testsubdir/etc/myfile: only in Docker's",
    ],
    reason: LINK_UP,
  },
};

const OF_BOTH: Readonly<Record<string, Kept>> = {
  'mount-targets-new': MOUNT_POINTS,
  'mount-targets-old': MOUNT_POINTS,
  'mount-targets-mount': MOUNT_POINTS,
  'own: a shell, a command, an entrypoint, and what resets what': workdirTime('relative'),
  'own: folders that WORKDIR and COPY make, and whose they are': workdirTime('made'),
  'own: a repository by tag, branch, commit and part': timeBelow(
    'tmp',
    'a folder that files are added to keeps its time',
  ),
  'own: a folder that COPY makes for a file with a mode': {
    outcome: ["made: mode 755, Docker's 644"],
    reason:
      'a folder with the mode of a file can be entered by root alone: the Docker before 28.1 made it with 755, and its users report the change as a bug',
  },
  'own: what --exclude leaves out by a variable': {
    outcome: ["a/a.md: only in Docker's"],
    reason:
      'a variable in --exclude has its value, as in the other words of COPY; BuildKit looks for a file whose name has a dollar sign',
  },
  'own: a file that is named and left out': {
    outcome: ["a/a.md: only in Docker's", "a/c.md: only in Docker's", "b/b.txt: only in Docker's"],
    reason:
      'the reference says that --exclude leaves out what a source names, and shows it with a wildcard; BuildKit does so in folders alone, which is reported as a bug (moby/buildkit 5489)',
  },
};

/** Differences that are kept, by the case's id. */
export const KEPT: Readonly<Record<string, Kept>> = { ...OF_BOTH, ...(IS_NEWEST ? OF_NEWEST : OF_DOCKER) };

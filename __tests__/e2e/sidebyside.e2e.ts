import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../helpers/berth.ts';
import { type Docker, NO_DOCKER, startDocker } from './support/docker.ts';

const BUSYBOX = '/bin/busybox';
const reason =
  NO_CONTAINERS ?? NO_DOCKER ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);
if (reason !== undefined) console.log(`side by side: ${reason}`);

/** A command line that both get. What is compared beside the exit code: standard output, what stands in both errors, or nothing. */
interface Step {
  readonly args: string;
  readonly input?: string;
  /** Only the exit code: the words differ, and mean the same. */
  readonly silent?: true;
  /** Stands in the error of both. */
  readonly error?: RegExp;
}

/** One lesson: containers of an image, from their start to their removal. HERE is a folder of each side's own. */
const STEPS: readonly Step[] = [
  { args: 'images --format {{.Repository}}:{{.Tag}}' },
  { args: 'run --rm --network none box echo hello' },
  { args: 'run --rm --network none box sh -c exit\\ 7' },
  { args: 'run --rm --network none box no-such-command', silent: true },
  { args: 'run --rm --network none box /data/seed', silent: true },
  { args: 'run --rm --network none --entrypoint echo box a b' },
  { args: 'run --rm --network none -e A=1 -e B=2 box sh -c echo\\ $A$B$GREETING' },
  { args: 'run --rm --network none -w /data box pwd' },
  { args: 'run --rm --network none -u 1000:1001 box id -u' },
  { args: 'run --rm --network none --read-only box touch /x', silent: true },
  { args: 'run --rm -i --network none box cat', input: 'typed\n' },
  { args: 'run --rm --network none -v HERE:/w box sh -c echo\\ made>/w/made;cat\\ /w/given' },
  { args: 'run --rm --network none -v HERE/given:/given:ro box cat /given' },
  { args: 'run --rm --network none -v models:/data box cat /data/seed' },
  { args: 'run --rm --network none --mount type=volume,src=models,dst=/m box ls /m' },
  {
    args: 'run --rm --network none --mount type=bind,src=/no/such/folder,dst=/m box true',
    error: /bind source path does not exist/,
  },
  { args: 'run --rm --network none --tmpfs /t:size=1m box sh -c df\\ /t|tail\\ -n1|wc\\ -l' },
  { args: 'run -d --network none --name web -l team=ml box sleep 600' },
  { args: 'run -d --network none --name web box true', error: /[Cc]onflict.*"\/web" is already in use/s },
  { args: 'ps --format {{.Names}}\\ {{.Image}}\\ {{.State}}' },
  { args: 'ps -q --filter label=team=ml --format {{.Names}}' },
  { args: 'container ls -a --filter name=^/web$ --format {{.Names}}' },
  { args: 'exec web echo in' },
  { args: 'exec -u 1000 -w /data -e X=y web sh -c echo\\ $X\\ $(id\\ -u)\\ $(pwd)' },
  { args: 'exec web no-such-command', silent: true },
  { args: 'cp HERE/given web:/data/given' },
  { args: 'exec web cat /data/given' },
  { args: 'cp web:/data HERE/out' },
  { args: 'cp web:/no/such HERE', silent: true },
  { args: 'cp HERE web:/data/given', error: /cannot copy (a )?directory/ },
  { args: 'inspect -f {{.Name}}\\ {{.State.Status}}\\ {{.Config.Labels.team}} web' },
  { args: 'inspect -f {{range\\ .Mounts}}{{.Type}}{{end}}|{{len\\ .Config.Cmd}}|{{join\\ .Config.Cmd\\ ","}} web' },
  { args: 'inspect -f {{.Nope}} web', error: /template parsing error/ },
  { args: 'inspect nope', error: /[Nn]o such object: nope/ },
  { args: 'volume ls -q' },
  { args: 'volume inspect -f {{.Name}}\\ {{.Driver}} models' },
  { args: 'rm web', error: /container is running/ },
  { args: 'stop -t 0 web' },
  { args: 'wait web' },
  { args: 'cp web:/data/seed -', silent: true },
  { args: 'ps -a --filter exited=137 --format {{.Names}}' },
  { args: 'rm -v web' },
  { args: 'rm web', error: /No such container: web/ },
  { args: 'run --network none --name done box sh -c echo\\ out;echo\\ err>&2' },
  { args: 'logs done' },
  { args: 'rm done nope', error: /No such container: nope/ },
  { args: 'tag box box:two' },
  { args: 'images -q --filter reference=box:* --format {{.Tag}}' },
  { args: 'rmi box:two', silent: true },
  { args: 'volume rm models' },
  { args: 'volume rm models', error: /no such volume/ },
  { args: 'volume create --label a=b made' },
  { args: 'volume ls -q --filter label=a=b' },
  { args: 'volume prune -f -a', silent: true },
  { args: 'container prune -f', silent: true },
  { args: 'run', silent: true },
  { args: 'run --no-such-flag box', error: /unknown flag: --no-such-flag/ },
];

(reason === undefined ? describe : describe.skip)('the same command lines with docker and with berth', () => {
  let docker: Docker;
  let store: Berth;
  const folders: Record<'docker' | 'berth', string> = { docker: '', berth: '' };

  beforeAll(async () => {
    [store, docker] = await Promise.all([createBerth(), startDocker()]);
    const context = join(store.work, 'context');
    await mkdir(join(context, 'bin'), { recursive: true });
    await copyFile(BUSYBOX, join(context, 'bin/busybox'));
    await chmod(join(context, 'bin/busybox'), 0o755);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    for (const side of ['docker', 'berth'] as const) {
      folders[side] = join(store.work, side);
      await mkdir(folders[side]);
      await writeFile(join(folders[side], 'given'), 'given\n');
    }
    const built = [
      await store.berth(['build', '-q', '-t', 'box', context]),
      await docker.docker(['build', '-q', '--network=none', '-t', 'box', context]),
    ];
    for (const { code, stderr } of built) if (code !== 0) throw new Error(`the image was not built: ${stderr}`);
  }, 300_000);
  afterAll(async () => {
    await docker.stop();
    await store.remove();
  });

  test.each(STEPS)('$args', async ({ args, input, silent, error }) => {
    const words = (side: 'docker' | 'berth'): readonly string[] => split(args.replaceAll('HERE', folders[side]));
    const with_ = input === undefined ? {} : { input };
    const [theirs, ours] = [await docker.docker(words('docker'), with_), await store.berth(words('berth'), with_)];
    const shown = ({ code, stdout }: Outcome, side: 'docker' | 'berth'): unknown =>
      silent ? { code } : { code, stdout: normalize(stdout, folders[side]) };
    expect(shown(ours, 'berth')).toEqual(shown(theirs, 'docker'));
    if (error) for (const { stderr } of [theirs, ours]) expect(stderr).toMatch(error);
  });

  test('leave the same files behind', async () => {
    for (const name of ['made', 'out/seed', 'out/given']) {
      const [theirs, ours] = await Promise.all(
        [folders.docker, folders.berth].map((folder) => readFile(join(folder, name), 'utf8')),
      );
      expect(ours).toBe(theirs);
    }
  });
});

const DOCKERFILE = [
  'FROM scratch',
  'COPY . /',
  'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; mkdir -p /data /tmp; echo seed > /data/seed"]',
  'ENV GREETING=hi PATH=/bin',
  'VOLUME /data',
  'CMD ["sh"]',
].join('\n');

/** Words at blanks; a backslash keeps one. */
function split(line: string): readonly string[] {
  return line.match(/(?:\\.|[^\s\\])+/g)?.map((word) => word.replaceAll('\\ ', ' ')) ?? [];
}

/** Ids, which are each side's own; the order of names is nobody's. */
function normalize(text: string, folder: string): string {
  return text
    .replaceAll(folder, 'HERE')
    .replace(/\b[0-9a-f]{64}\b/g, 'ID')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID');
}

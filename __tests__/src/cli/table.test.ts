import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { COMMANDS, GROUPS, REFUSED_COMMANDS } from '../../../src/cli/commands.ts';
import type { AnyCommand } from '../../../src/cli/command.ts';
import { completionScript, SHELLS } from '../../../src/cli/completion.ts';
import { helpOf } from '../../../src/cli/help.ts';
import { insteadOf } from '../../../src/cli/instead.ts';
import { parseWords } from '../../../src/cli/normalize.ts';
import { UsageError } from '../../../src/cli/usage-error.ts';

/** Commands and flags of a Docker user (spec/engine.md 1c and 1d): each is done, or refused by name with what to type instead. */
const WANTED: Readonly<Record<string, string>> = {
  run:
    '-d --detach --rm -i --interactive -t --tty --name -p --publish -P --publish-all -v --volume --mount --tmpfs -e --env ' +
    '--env-file -w --workdir -u --user --entrypoint --init --gpus --device --ipc --shm-size --network --network-alias ' +
    '--add-host --dns --hostname -h --read-only --cap-add --cap-drop --security-opt --privileged --ulimit --memory -m ' +
    '--memory-swap --cpus --cpu-shares -c --pids-limit --restart --stop-signal --stop-timeout --health-cmd ' +
    '--health-interval --health-retries --health-timeout --health-start-period --health-start-interval --no-healthcheck ' +
    '--label -l --label-file --cidfile --pull --platform --volumes-from --group-add --pid --log-driver --log-opt ' +
    '--sig-proxy --sysctl --oom-score-adj --expose --link --uts --userns --cgroupns --runtime --storage-opt -a --attach ' +
    '--detach-keys --quiet -q --dns-search --dns-option --domainname --ip --ip6 --mac-address --annotation --cpuset-cpus',
  build:
    '-f --file -t --tag --target --build-arg --label --annotation --no-cache --no-cache-filter --pull --iidfile ' +
    '--metadata-file --progress -q --quiet --build-context --secret --ssh --platform --cache-from --cache-to --output -o ' +
    '--load --push --provenance --sbom --attest --network --add-host --shm-size --ulimit --cgroup-parent --allow --policy ' +
    '--check --call --squash --builder --rm --force-rm --compress --memory -m --resource',
  images: '-a --all -q --quiet --filter -f --format --no-trunc --digests --tree',
  ps: '-a --all -q --quiet --filter -f --format --no-trunc -n --last -l --latest -s --size',
  logs: '-f --follow --tail -n --since --until -t --timestamps --details',
  exec: '-i --interactive -t --tty -u --user -w --workdir -e --env --env-file -d --detach --privileged --detach-keys',
  cp: '-a --archive -L --follow-link -q --quiet',
  stop: '-t --timeout --time -s --signal',
  kill: '-s --signal',
  start: '-a --attach -i --interactive --detach-keys',
  restart: '-t --timeout -s --signal',
  rm: '-f --force -v --volumes -l --link',
  rmi: '-f --force --no-prune --platform',
  tag: '',
  inspect: '-f --format --type -s --size',
  port: '',
  wait: '',
  top: '',
  stats: '-a --all --format --no-stream --no-trunc',
  save: '-o --output --platform',
  load: '-i --input -q --quiet --platform',
  pull: '-a --all-tags -q --quiet --platform --disable-content-trust',
  push: '-a --all-tags -q --quiet --platform --disable-content-trust',
  login: '-u --username -p --password --password-stdin',
  logout: '',
  history: '--format -q --quiet --no-trunc -H --human --platform',
  'volume ls': '-q --quiet -f --filter --format',
  'volume create': '-d --driver --label -o --opt --topology-preferred --topology-required',
  'volume rm': '-f --force',
  'volume inspect': '-f --format',
  'volume prune': '-a --all -f --force --filter',
  'network ls': '-q --quiet -f --filter --format --no-trunc',
  'network create': '-d --driver --subnet --gateway --internal --label --ipv6 -o --opt',
  'network rm': '-f --force',
  'network inspect': '-f --format',
  'network connect': '--alias --ip',
  'network disconnect': '-f --force',
  'network prune': '-f --force --filter',
  'system df': '-v --verbose --format',
  'system prune': '-a --all -f --force --volumes --filter',
  'system info': '-f --format',
  'system events': '-f --filter --format --since --until',
  events: '-f --filter --format --since --until',
  info: '-f --format',
  version: '-f --format',
  commit: '-a --author -c --change -m --message -p --pause',
  export: '-o --output',
  import: '-c --change -m --message --platform',
  diff: '',
  attach: '--detach-keys --no-stdin --sig-proxy',
  rename: '',
  update: '-m --memory --memory-swap --cpus --pids-limit --restart',
  pause: '',
  unpause: '',
  create: '--name -p --publish -v --volume -e --env --entrypoint',
  'container ls': '-a --all -q --quiet --filter -f --format',
  'container list': '-a',
  'container ps': '-a',
  'container run': '-d --rm',
  'container rm': '-f --force -v --volumes',
  'container prune': '-f --force --filter',
  'container inspect': '-f --format -s --size',
  'image ls': '-a --all -q --quiet',
  'image list': '-q',
  'image rm': '-f --force',
  'image build': '-t --tag',
  'image inspect': '-f --format',
  'image prune': '-a --all -f --force --filter',
  'image tag': '',
  'image save': '-o --output',
  'image load': '-i --input',
  'image history': '--no-trunc',
  'image push': '',
  'image pull': '',
  'image import': '',
  'builder prune': '-a --all -f --force --filter --keep-storage',
  'builder build': '-t --tag',
  compose: '',
  buildx: '',
  swarm: '',
  'volume update': '',
  'image remove': '-f --force --no-prune --platform',
  'container remove': '-f --force -v --volumes -l --link',
};

function find(path: string): AnyCommand | undefined {
  const [first = '', second] = path.split(' ');
  if (second === undefined) return COMMANDS.find(({ name }) => name === first);
  return GROUPS[first]?.commands[second];
}

const isRefused = (path: string): boolean =>
  REFUSED_COMMANDS.has(path) || REFUSED_COMMANDS.has(path.split(' ')[0] ?? '');
const everyCommand: readonly (readonly [string, AnyCommand])[] = [
  ...COMMANDS.map((command) => [command.name, command] as const),
  ...Object.entries(GROUPS).flatMap(([group, { commands }]) =>
    Object.entries(commands).map(([word, command]) => [`${group} ${word}`, command] as const),
  ),
];

describe('the flag table', () => {
  test.each(Object.keys(WANTED))('%s is done, or refused by name with what to type instead', (path) => {
    if (find(path)) return expect(isRefused(path)).toBe(false);
    expect(isRefused(path)).toBe(true);
    expect(insteadOf(path)).not.toBe('');
  });

  const done = Object.entries(WANTED).filter(([path, flags]) => find(path) && flags !== '');
  test.each(done)('%s takes or refuses each of Docker’s flags', (path, flags) => {
    const command = find(path);
    if (!command) throw new Error(`no command ${path}`);
    for (const flag of flags.split(' ')) {
      const known = Object.values(command.flags).find(
        ({ long, short }) => `--${long}` === flag || `-${short}` === flag,
      );
      const parse = (): unknown =>
        parseWords(known?.value === undefined ? [flag] : [flag, 'x'], { ...command, command: path });
      if (known) expect(parse).not.toThrow();
      else {
        expect(parse).toThrow(`Cannot use ${flag}: not supported yet`);
        expect(parse).toThrow(expect.objectContaining({ hint: expect.stringMatching(/\w/) }));
      }
    }
  });

  test.each(everyCommand)(
    '%s has no flag twice, and none that is both done and refused',
    (_path, { flags, refused }) => {
      const names = Object.values(flags).flatMap(({ long, short }) => (short ? [long, short] : [long]));
      expect(names.filter((name, index) => names.indexOf(name) !== index || refused.includes(name))).toEqual([]);
    },
  );

  test('a command is not both done and refused', () => {
    expect(everyCommand.map(([path]) => path).filter((path) => REFUSED_COMMANDS.has(path))).toEqual([]);
  });

  test('help shows every flag of the table that parses', () => {
    for (const [path, command] of everyCommand) {
      const help = helpOf(command, path, { stdout: { columns: 80 } });
      for (const { long } of Object.values(command.flags)) expect(help).toContain(`--${long}`);
      expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    }
  });
});

describe('completions', () => {
  test.each(SHELLS)('of %s name every command and flag', (shell) => {
    const script = completionScript(shell, { commands: COMMANDS, groups: GROUPS });
    for (const [path, { flags }] of everyCommand) {
      expect(script).toContain(path);
      for (const { long } of Object.values(flags)) expect(script).toContain(long);
    }
  });

  test.each([
    [['berth', 'ru'], 'run'],
    [['berth', 'container', 'l'], 'ls list logs'],
    [['berth', 'run', '--publish-'], '--publish-all'],
    [['berth', 'container', 'ls', '--no'], '--no-trunc'],
    [['berth', 'run', '--name', 'rm', '--deta'], '--detach'],
  ])('bash completes %j', (words, wanted) => {
    const script = completionScript('bash', { commands: COMMANDS, groups: GROUPS });
    const ask = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})\nCOMP_CWORD=${words.length - 1}\n_berth\necho "\${COMPREPLY[@]}"`;
    const found = execFileSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' }).trim().split(' ');
    expect(found).toEqual(expect.arrayContaining(wanted.split(' ')));
    expect(found.every((word) => word.startsWith(words.at(-1) ?? ''))).toBe(true);
  });
});

test('a refusal is an error of the command line', () => {
  const parse = (): unknown => parseWords(['-H', 'x'], { flags: {}, refused: ['H'], passThrough: true, command: '' });
  expect(parse).toThrow(UsageError);
});

import { describe, expect, test } from '@jest/globals';
import { parseWords } from '../../../src/cli/normalize.ts';
import { list, text, toggle, type FlagTable } from '../../../src/cli/flags.ts';
import { build } from '../../../src/cli/commands/build.ts';
import { exec } from '../../../src/cli/commands/exec.ts';
import { inspect } from '../../../src/cli/commands/inspect.ts';
import { logs } from '../../../src/cli/commands/logs.ts';
import { RUN_FLAGS, REFUSED_RUN_FLAGS } from '../../../src/cli/commands/run-flags.ts';
import { pull } from '../../../src/cli/commands/transfer.ts';

const flags = {
  rm: toggle('--rm', 'remove'),
  tty: toggle('-t, --tty', 'terminal'),
  interactive: toggle('-i, --interactive', 'input'),
  publish: list('-p, --publish PORT', 'ports', (word) => word),
  name: text('--name NAME', 'name'),
};
const parse = (line: string, passThrough = false) => {
  const { given, operands } = parseWords(line.split(' ').filter(Boolean), {
    flags,
    refused: ['gpus', 'm'],
    passThrough,
    command: 'run',
  });
  return { given: Object.fromEntries(given), operands };
};

describe('parseWords', () => {
  test.each([
    ['-it img', { tty: ['true'], interactive: ['true'] }, ['img']],
    ['-p80:80 -p 81:81 --publish=82 img', { publish: ['80:80', '81:81', '82'] }, ['img']],
    ['-itp 80 img', { tty: ['true'], interactive: ['true'], publish: ['80'] }, ['img']],
    ['--rm=false --name=x=y img', { rm: ['false'], name: ['x=y'] }, ['img']],
    ['. --name x', { name: ['x'] }, ['.']],
    ['-- --rm', {}, ['--rm']],
    ['--name -x -', { name: ['-x'] }, ['-']],
  ])('reads %s', (line, given, operands) => expect(parse(line)).toEqual({ given, operands }));

  test('leaves the words after the image to its command', () => {
    expect(parse('--rm img sh -t --name x', true)).toEqual({
      given: { rm: ['true'] },
      operands: ['img', 'sh', '-t', '--name', 'x'],
    });
  });

  test.each([
    ['--gpus all img', 'Cannot use --gpus: not supported yet'],
    ['--gpus=all img', 'Cannot use --gpus: not supported yet'],
    ['-m 1g img', 'Cannot use -m: not supported yet'],
    ['-tz img', "unknown shorthand flag: 'z' in -tz"],
    ['--publsh 1 img', 'unknown flag: --publsh'],
    ['--name', 'flag needs an argument: --name'],
    ['--rm=maybe img', 'invalid argument "maybe" for "--rm" flag'],
  ])('refuses %s by name', (line, message) => expect(() => parse(line)).toThrow(message));

  test('suggests the flag that was meant', () => {
    expect(() => parse('--publsh 1 img')).toThrow(expect.objectContaining({ hint: 'did you mean --publish?' }));
  });
});

test('no flag of run is both done and refused', () => {
  const done = new Set(
    Object.values(RUN_FLAGS).flatMap(({ long, ...rest }) => [long, 'short' in rest ? rest.short : '']),
  );
  expect(REFUSED_RUN_FLAGS.filter((name) => done.has(name))).toEqual([]);
});

describe('an empty value, which a script makes of a variable that is not set', () => {
  const tables: Readonly<Record<string, FlagTable>> = {
    run: RUN_FLAGS,
    exec: exec.flags,
    logs: logs.flags,
    pull: pull.flags,
    inspect: inspect.flags,
  };
  const read = (command: string, long: string, words: readonly string[]): unknown => {
    const flag = Object.values(tables[command] ?? {}).find((one) => one.long === long);
    if (!flag) throw new Error(`${command} has no flag --${long}`);
    return flag.parse(words, { cwd: '/', lookup: () => undefined });
  };

  test.each([
    ...'name platform pull ip ip6 mac-address ipc uts userns cgroupns log-driver cidfile cpuset-cpus cpuset-mems detach-keys'
      .split(' ')
      .map((long) => ['run', long] as const),
    ['exec', 'detach-keys'],
    ['logs', 'tail'],
    ['logs', 'since'],
    ['logs', 'until'],
    ['pull', 'platform'],
    ['inspect', 'format'],
  ] as const)('%s --%s is as if it were not given', (command, long) => {
    expect(read(command, long, [''])).toBeUndefined();
  });

  test('takes back what was given before, and counts for nothing before another', () => {
    expect(read('run', 'name', ['web', ''])).toBeUndefined();
    expect(read('run', 'name', ['', 'web'])).toBe('web');
  });
});

test.each(['a b', '', 'a\nnameserver 192.0.2.1', 'a_b', '-a', '12', `${'a'.repeat(256)}`])(
  '--dns-search is one domain, not %j',
  (word) => {
    const read = (): unknown => RUN_FLAGS.dnsSearch.parse([word], { cwd: '/', lookup: () => undefined });
    expect(read).toThrow('is not a valid domain');
  },
);

describe('what scripts turn on or off although it holds anyway', () => {
  const read = (word: string): unknown => {
    const [, name = '', value = 'true'] = /^--([^=]*)=?(.+)?$/.exec(word) ?? [];
    const flag = Object.values(build.flags).find(({ long }) => long === name);
    if (!flag) throw new Error(`build has no flag ${name}`);
    return flag.parse([value], { cwd: '/', lookup: () => undefined });
  };

  test.each([
    '--rm',
    '--force-rm=true',
    '--provenance=false',
    '--sbom=0',
    '--attest=type=sbom,disabled=true',
    '--allow=network.host',
  ])('%s is taken', (word) => {
    expect(() => read(word)).not.toThrow();
  });

  test.each([
    '--rm=false',
    '--force-rm=false',
    '--provenance=mode=max',
    '--provenance=true',
    '--sbom=true',
    '--attest=type=sbom',
    '--allow=security.insecure',
    '--allow=nosuch',
  ])('%s is refused', (word) => expect(() => read(word)).toThrow(/--(?:rm|force-rm|provenance|sbom|attest|allow)\b/));
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec, EXEC_FLAGS, toExecSpec } from '../../../src/cli/commands/exec.ts';
import type { Values } from '../../../src/cli/flags.ts';
import { parseWords } from '../../../src/cli/normalize.ts';
import { parseDetachKeys } from '../../../src/cli/values/detach-keys.ts';
import { parseGpus } from '../../../src/cli/values/gpus.ts';
import { parseNetwork } from '../../../src/cli/values/host.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

interface ExecRow {
  readonly flags: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly config?: { readonly detachKeys: string };
  readonly command: readonly string[];
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

describeVectors('cli-opts', () => {
  describe('exec', () => {
    let folder = '';
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'berth-vectors-'));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const { cases } = readVectors<{ readonly cases: readonly ExecRow[] }>('cli-opts', 'exec.json');
    const rows = cases.map((row) => [JSON.stringify({ ...row.flags, ...row.config }), row] as const);
    /** Reads the row as typed words: a file's content becomes a file. */
    const read = ({ flags, command }: ExecRow): Readonly<Record<string, unknown>> => {
      const words = Object.entries(flags).flatMap(([name, value]) =>
        [value]
          .flat()
          .map(
            (one) => `--${name}${one === true ? '' : `=${name === 'env-file' ? fileOf(String(one)) : String(one)}`}`,
          ),
      );
      return request([...words, 'container', ...command]);
    };
    const fileOf = (content: string): string => {
      const file = join(folder, 'x.env');
      if (content.startsWith('(')) return join(folder, 'none.env');
      writeFileSync(file, content);
      return file;
    };

    // Keys that leave a command have no meaning for one that nobody is attached to; those of the configuration file are not read.
    const keys = ({ result }: ExecRow): boolean => result?.['DetachKeys'] !== undefined;
    test.each(rows.filter(([, row]) => row.result && !keys(row)))('reads %s', (_, row) =>
      expect(read(row)).toEqual(row.result),
    );
    test.each(rows.filter(([, row]) => keys(row) && row.flags['detach-keys'] === undefined))(
      'reads %s, but for the configured keys',
      (_, row) => expect({ ...read(row), DetachKeys: row.config?.detachKeys }).toEqual(row.result),
    );
    test.each(rows.filter(([, { error }]) => error !== undefined))('refuses %s', (_, row) =>
      expect(() => read(row)).toThrow(),
    );
    test('keys are read as those of run', () => {
      expect([...parseDetachKeys('ctrl-a,b')]).toEqual([1, 98]);
      expect(() => parseDetachKeys('shift-a')).toThrow(/shift-a/);
    });
  });

  describe('networks', () => {
    type Row = { readonly input: string; readonly result?: Readonly<Record<string, unknown>>; readonly error?: string };
    const table = readVectors<Record<'cases' | 'more', readonly Row[]>>('cli-opts', 'networks.json');
    const rows = [...table.cases, ...table.more].map((row) => [row.input, row] as const);
    /** A name that is none of the form `name=`, and an address that the daemon alone refuses. */
    const odd = ({ result }: Row): boolean => result?.['name'] === 'name=' || result?.['mac_address'] === 'bad';
    const shown = (input: string): Readonly<Record<string, unknown>> => {
      const { name, join } = parseNetwork(input);
      const fields = {
        name,
        aliases: join.aliases,
        ip: join.address,
        ip6: join.address6,
        mac_address: join.mac,
        link_local_ips: join.linkLocal,
        driver_opts: join.driverOptions,
        gw_priority: join.gatewayPriority,
      };
      // Docker's command line writes values small; the daemon's IFNAME is known in both.
      const text = JSON.stringify(fields).replaceAll('IFNAME', 'ifname');
      return JSON.parse(text) as Readonly<Record<string, unknown>>;
    };

    test.each(rows.filter(([, row]) => row.result && !odd(row)))('reads "%s"', (input, { result }) =>
      expect(shown(input)).toEqual(result),
    );
    test.each(rows.filter(([, row]) => row.error !== undefined || odd(row)))('refuses "%s"', (input) =>
      expect(() => parseNetwork(input)).toThrow(),
    );
  });

  describe('gpus', () => {
    type Row = { readonly input: string; readonly result?: Readonly<Record<string, unknown>>; readonly error?: string };
    const table = readVectors<Record<'cases' | 'more', readonly Row[]>>('cli-opts', 'gpus.json');
    const rows = [...table.cases, ...table.more].map((row) => [row.input, row] as const);

    test.each(rows.filter(([, { result }]) => result !== undefined))('reads "%s"', (input, { result }) => {
      const { driver, count, devices, capabilities, options } = parseGpus(input);
      expect({
        ...(driver === undefined ? {} : { Driver: driver }),
        Count: count,
        ...(devices.length > 0 ? { DeviceIDs: devices } : {}),
        Capabilities: [capabilities],
        Options: options,
      }).toEqual(result);
    });
    test.each(rows.filter(([, { error }]) => error !== undefined))('refuses "%s"', (input, { error = '' }) =>
      // An empty line of values ends at once for Docker's reader, and is an empty count for ours.
      expect(() => parseGpus(input)).toThrow(error === 'EOF' ? 'invalid count ()' : error),
    );
  });
});

/** What `exec` asks for, under the names of Docker's request. */
function request(words: readonly string[]): Readonly<Record<string, unknown>> {
  const { given, operands } = parseWords(words, {
    flags: EXEC_FLAGS,
    refused: exec.refused,
    passThrough: true,
    command: 'exec',
  });
  const context = { cwd: '/', lookup: () => undefined };
  const entries = Object.entries(EXEC_FLAGS).map(([key, flag]) => [
    key,
    flag.parse(given.get(flag.long) ?? [], context),
  ]);
  // Type: each key has the value that its own flag's parser gave.
  const values = Object.fromEntries(entries) as Values<typeof EXEC_FLAGS>;
  const { command, env = [], user, detach, interactive } = toExecSpec(values, operands.slice(1));
  const attached = !detach;
  return {
    Cmd: command,
    ...(attached ? { AttachStdout: true, AttachStderr: true } : {}),
    ...(attached && interactive ? { AttachStdin: true } : {}),
    ...(values.tty ? { TTY: true } : {}),
    ...(user === undefined ? {} : { User: user }),
    ...(env.length > 0 ? { Env: env } : {}),
  };
}

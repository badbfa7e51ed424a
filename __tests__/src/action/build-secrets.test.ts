import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asSecrets, readBuildSecrets } from '../../../src/action/build-secrets.ts';
import { readRunnerContext } from '../../../src/action/environment.ts';

let workspace: string;
beforeAll(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'berth-secrets-'));
  await writeFile(join(workspace, 'netrc'), 'machine a\n  password b\n');
  await writeFile(join(workspace, 'key.bin'), Buffer.from([0xff, 0x00, 0xfe]));
  await writeFile(join(workspace, 'large'), Buffer.alloc(600 * 1024));
});
afterAll(() => rm(workspace, { recursive: true }));

async function read(
  inputs: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, string>>> {
  const runner = readRunnerContext({ GITHUB_WORKSPACE: workspace }, {});
  const found = await readBuildSecrets(new Map(Object.entries(inputs)), env, runner);
  found.check();
  return Object.fromEntries(found.secrets.map(({ id, value }) => [id, Buffer.from(value).toString('latin1')]));
}

describe('build secrets', () => {
  test('are read in the form of docker/build-push-action, their values as they are', async () => {
    const secrets = 'token=abc=def \n"key=-----BEGIN-----\nsays ""yes""\n-----END-----\n"\n\ngcp={"a":"b","c":1}\n';
    expect(await read({ secrets })).toEqual({
      token: 'abc=def ',
      key: '-----BEGIN-----\nsays "yes"\n-----END-----\n',
      gcp: '{"a":"b","c":1}',
    });
  });

  test('come from variables and files too', async () => {
    const inputs = { 'secret-envs': 'token=MY_TOKEN', 'secret-files': 'netrc=./netrc\nkey=key.bin' };
    expect(await read(inputs, { MY_TOKEN: 'x y' })).toEqual({
      token: 'x y',
      netrc: 'machine a\n  password b\n',
      key: '\u00ff\u0000\u00fe',
    });
  });

  test.each([
    ['a line that is no pair', { secrets: 'a=1\nsecond line of a key' }, "'secrets': entry 2 is not of the form id=value"],
    ['an id that is a path', { secrets: '../x=1' }, 'entry 1 is not'],
    ['an id twice', { secrets: 'a=1', 'secret-envs': 'a=HOME' }, 'the id a is given twice'],
    ['an open quote', { secrets: '"a=1' }, "'secrets': a double quote is opened"],
    ['a variable that is not there', { 'secret-envs': 'a=NOT_THERE' }, 'there is no variable NOT_THERE'],
    ['a file that is not there', { 'secret-files': 'a=nowhere' }, "'secret-files'"],
    ['a file outside', { 'secret-files': 'a=/etc/passwd' }, 'leads out of the workspace'],
    ['a folder', { 'secret-files': 'a=.' }, 'is no file'],
    ['a file that is too large', { 'secret-files': 'a=large' }, 'is no file of at most'],
  ])('are refused: %s, without their value in the message', async (_name, inputs, message) => {
    const error = await read(inputs, { HOME: 'h' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect(JSON.stringify(error) + String(error)).not.toContain('of a key');
  });

  test('that were read before a mistake are known all the same, so that they are masked before it is told', async () => {
    const runner = readRunnerContext({ GITHUB_WORKSPACE: workspace }, {});
    const found = await readBuildSecrets(new Map([['secrets', 'a=hunter22\nbroken']]), {}, runner);
    expect(asSecrets(found.secrets)).toEqual([{ name: 'secrets: a', value: 'hunter22' }]);
    expect(found.check).toThrow('entry 2');
  });

  test('that are no text are masked by their base64', () => {
    const value = Buffer.from([0xff, 0x00, 0xfe]);
    expect(asSecrets([{ id: 'k', value }])).toEqual([{ name: 'secrets: k', value: '/wD+' }]);
  });
}); // prettier-ignore

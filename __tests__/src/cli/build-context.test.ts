import { describe, expect, test } from '@jest/globals';
import { filesOf, parseNamedContext, type ContextPlace } from '../../../src/cli/commands/build-context.ts';

const place: ContextPlace = { cwd: '/', stdin: streamOf('FROM scratch\n') };

async function* streamOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

describe('the words of a build', () => {
  test.each([
    ['tmp', undefined, { context: '/tmp' }],
    ['tmp', 'docker/a', { context: '/tmp', file: '/docker/a' }],
    [
      'https://host/context.tgz',
      'docker/a',
      { context: { type: 'http', url: 'https://host/context.tgz' }, file: 'docker/a' },
    ],
    [
      'github.com/a/b#main:dir',
      undefined,
      { context: { type: 'git', remote: 'https://github.com/a/b', ref: 'main', subdir: 'dir' } },
    ],
    ['-', undefined, { context: { type: 'archive' } }],
  ])('name the files: %s, -f %s', async (operand, file, expected) => {
    expect(await filesOf(operand, file, place)).toMatchObject(expected);
  });

  test('read the Dockerfile from standard input, but not the context too', async () => {
    expect(await filesOf('tmp', '-', place)).toEqual({ context: '/tmp', dockerfile: 'FROM scratch\n' });
    await expect(filesOf('-', '-', place)).rejects.toThrow('both the context and the Dockerfile');
    await expect(filesOf('https://host/a.git?nosuch=1', undefined, place)).rejects.toThrow('no parameter "nosuch"');
    await expect(filesOf('nowhere', undefined, place)).rejects.toMatchObject({
      message: expect.stringContaining('not found') as unknown,
      hint: 'give the folder of the files that COPY takes: . is the current one',
    });
    await expect(filesOf('/etc/passwd', undefined, place)).rejects.toMatchObject({
      hint: 'a Dockerfile goes with -f: berth build -f /etc/passwd /etc',
    });
  });

  test.each([
    ['a=docker-image://alpine:3', { type: 'image', reference: 'alpine:3' }],
    ['a=oci-layout://tmp', { type: 'oci-layout', path: '/tmp' }],
    ['a=oci-layout:///x/y:v1', { type: 'oci-layout', path: '/x/y', reference: 'v1' }],
    [
      `a=oci-layout:///x@sha256:${'0'.repeat(64)}`,
      { type: 'oci-layout', path: '/x', reference: `sha256:${'0'.repeat(64)}` },
    ],
    ['a=https://host/x.git', { type: 'git', remote: 'https://host/x.git' }],
    ['a=tmp', '/tmp'],
  ])('name a context: %s', (word, expected) => {
    const [name, context] = parseNamedContext(word, '/');
    expect(name).toBe('a');
    if (typeof expected === 'string') expect(context).toBe(expected);
    else expect(context).toMatchObject(expected);
  });

  test.each(['a', '=tmp', 'a=', 'a=target:b', 'a=nowhere'])('refuse the context %s', (word) => {
    expect(() => parseNamedContext(word, '/')).toThrow();
  });
});

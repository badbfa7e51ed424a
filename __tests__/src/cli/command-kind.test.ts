import { describe, expect, test } from '@jest/globals';
import { kindOf, type CommandKind } from '../../../src/cli/command-kind.ts';

const kind = (line: string): CommandKind => kindOf(line.split(' ').filter(Boolean));

describe('the kind of a command line', () => {
  test('is its command and the names of its options, in any order and with any values', () => {
    const known = kind('run --rm -it --network none box sh');
    expect(known.command).toBe('run');
    for (const same of ['run -it --rm --network host box', 'run --network=host --rm -i box']) {
      expect(kind(same)).toEqual(known);
    }
    for (const other of ['run --rm -d --network none box', 'run --rm --network none box', 'run box']) {
      expect(kind(other).options).not.toBe(known.options);
    }
  });

  test('takes both words of a grouped form', () => {
    expect(kind('image ls -q').command).toBe('image-ls');
    expect(kind('container').command).toBe('container');
    expect(kind('run image').command).toBe('run');
  });

  test('is a name that a file can have, whatever is typed', () => {
    for (const line of ['--version', '', '../../etc/passwd', 'IMAGE /tmp', `--${'x'.repeat(5000)}`]) {
      expect(kind(line)).toEqual({ command: 'berth', options: expect.stringMatching(/^[0-9a-f]{1,8}$/) });
    }
  });

  test('tells nothing of a password behind its flag', () => {
    expect(kind('login -u ada -pother')).toEqual(kind('login -u ada -psecret'));
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isEngineError } from '../../../engine/base/errors.ts';
import { lookupUser, parseGroup, parsePasswd } from '../../../engine/runtime/user.ts';
import { runs } from '../../helpers/property.ts';

const accounts = {
  users: parsePasswd(
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n1234:x:7:8::/seven:\n# c\nbroken\n',
  ),
  groups: parseGroup('root:x:0:\napp:x:1001:\nvideo:x:44:root,app\ndocker:x:999:app\n'),
};

describe('lookupUser', () => {
  test('finds a user by name with its groups and home', () => {
    expect(lookupUser('app', accounts)).toEqual({
      uid: 1000,
      gid: 1001,
      additionalGids: [1001, 44, 999],
      home: '/home/app',
    });
  });

  test('takes nobody for root', () => {
    expect(lookupUser('', accounts)).toEqual({ uid: 0, gid: 0, additionalGids: [0, 44], home: '/root' });
  });

  test('finds the group of a number that the image knows, and takes another one as it is with group 0', () => {
    expect(lookupUser('1000', accounts)).toMatchObject({ uid: 1000, gid: 1001 });
    expect(lookupUser('4242', accounts)).toEqual({ uid: 4242, gid: 0, additionalGids: [0], home: '/' });
  });

  test('prefers a name that looks like a number', () => {
    expect(lookupUser('1234', accounts)).toMatchObject({ uid: 7, gid: 8 });
  });

  test('drops the listed groups when a group is given', () => {
    expect(lookupUser('app:video', accounts)).toMatchObject({ uid: 1000, gid: 44, additionalGids: [44] });
    expect(lookupUser('1000:5', accounts)).toMatchObject({ uid: 1000, gid: 5, additionalGids: [5] });
  });

  test('adds the groups that the caller asks for', () => {
    expect(lookupUser('app', accounts, ['docker', '77'])).toMatchObject({ additionalGids: [1001, 44, 999, 77] });
  });

  test.each(['4294967296', '2147483648', '-1', `1${'0'.repeat(36)}`, '0:4294967296', 'a:b:c'])(
    'refuses %s as out of range or malformed, and never takes it for a name',
    (user) => {
      expect(() => lookupUser(user, accounts)).toThrow(expect.objectContaining({ code: 'INVALID_USER' }));
    },
  );

  test.each([
    ['ghost', /unable to find user ghost: no matching entries in \/etc\/passwd/],
    ['app:ghosts', /unable to find group ghosts: no matching entries in \/etc\/group/],
  ])('names what it cannot find in %s', (user, message) => {
    expect(() => lookupUser(user, accounts)).toThrow(message);
  });

  test('reads an id that is no number as no entry', () => {
    expect(parsePasswd('x:x:-1:0::/:\ny:x:99999999999:0::/:\nz:x::0::/:\n')).toEqual([]);
  });

  test('gives numbers that the kernel has, or an error of the engine, whatever the files of an image say', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'root',
        'app',
        '0',
        '1000',
        '4294967294',
        '4294967295',
        '9999999999',
        '-1',
        '+1',
        ' 5',
        '',
        '#',
        'a:b',
        '\u0000',
        '\r',
      ),
      fc.string({ maxLength: 8 }),
    );
    const file = fc
      .array(fc.array(word, { maxLength: 8 }).map((words) => words.join(':')))
      .map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(file, file, fc.array(word, { minLength: 1, maxLength: 3 }), (passwd, group, words) => {
        const found = { users: parsePasswd(passwd), groups: parseGroup(group) };
        try {
          const { uid, gid, additionalGids } = lookupUser(words.join(':'), found);
          for (const id of [uid, gid, ...additionalGids]) expect(id >= 0 && id < 2 ** 32 - 1).toBe(true);
        } catch (error) {
          if (!isEngineError(error)) throw error;
        }
      }),
      runs(2000),
    );
  });
});

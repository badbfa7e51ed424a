import { describe, expect, test } from '@jest/globals';
import { secretValues } from '../../../../src/smoke/secret-values.ts';
import { parseEnvFile } from '../../../../src/smoke/structure/env-file.ts';
import { expand } from '../../../../src/smoke/structure/expand.ts';
import { goMode } from '../../../../src/smoke/structure/go-mode.ts';
import { compileGoRegex, matchesGo } from '../../../../src/smoke/structure/go-regex.ts';

const matches = (pattern: string, text: string): boolean => matchesGo(compileGoRegex(pattern), text);

describe('a pattern of Go matches what it matches there', () => {
  test.each([
    ['.*Usage.*', 'x\nUsage: apt-get\n', true],
    ['^b', 'a\nb', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['a$', 'a\n', false],
    ['a.b', 'a\nb', false],
    ['a.b', 'a\rb', true],
    ['(?s)a.b', 'a\nb', true],
    ['(?i)ERROR', 'an error', true],
    ['^(?i)error', 'Error: x', true],
    ['(?P<year>\\d{4})', 'in 2024', true],
    ['[[:alpha:]]+-[[:^digit:]]', 'abc-x', true],
    ['[\\w-.]+@x', 'a-b.c@x', true],
    ['[]a]+$', ']]a', true],
    ['[^]]', ']', false],
    ['\\d', '٣', false],
    ['\\s', '\v', false],
    ['[^\\S]x', ' x', true],
    ['^\\Qa.b(\\E+$', 'a.b((', true],
    ['\\Qa.b\\E', 'a.b', true],
    ['\\x{1F600}|\\x41', 'A', true],
    ['\\AROOT\\z', 'ROOT', true],
    ['a{,2}', 'a{,2}', true],
    ['x}]', 'x}]', true],
    ['\\"quoted\\"\\ \\-', '"quoted" -', true],
    ['\\pL+\\p{Greek}', 'aα', true],
    ['(?U)a+b', 'aaab', true],
    ['(?-s:a.b)', 'a\nb', false],
    ['^*\\b+a$?', 'xa', false],
    ['^*a(?m)$?', 'xab', true],
    ['^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{6}$', '2024-01-02T03:04:05.123456', true],
  ])('/%s/ on %j: %s', (pattern, text, wanted) => {
    expect(matches(pattern, text)).toBe(wanted);
  });

  test.each([
    ['(?=a)', "Go's regexp has no (?="],
    ['(?<!a)b', "Go's regexp has no (?<"],
    ['(a)\\1', "Go's regexp has no \\"],
    ['a**', 'a repeat cannot be repeated'],
    ['*a', 'nothing before *'],
    ['(a', 'a ( without its )'],
    ['a)', 'a ) without its ('],
    ['[a', 'a [ without its ]'],
    ['[[:nope:]]', 'no class [:nope:]'],
    ['a\\', 'ends in a single \\'],
    ['a(?i)b', '(?i) can only be used for the whole'],
  ])('/%s/ is refused: %s', (pattern, why) => {
    expect(() => compileGoRegex(pattern)).toThrow(why);
  });
});

test.each([
  ['file', 0o644, '-rw-r--r--'],
  ['file', 0o4755, 'urwxr-xr-x'],
  ['directory', 0o1777, 'dtrwxrwxrwx'],
  ['directory', 0o2775, 'dgrwxrwxr-x'],
  ['link', 0o777, 'Lrwxrwxrwx'],
  ['character-device', 0o666, 'Dcrw-rw-rw-'],
  ['socket', 0o700, 'Srwx------'],
] as const)('the mode of a %s with %o is written %s, as Go writes it', (kind, mode, wanted) => {
  expect(goMode(kind, mode)).toBe(wanted);
});

test.each([
  ['/env/bin:$PATH', '/env/bin:/bin'],
  ['${HOME}/x', '/root/x'],
  ['a $ b $UNSET.', 'a $ b .'],
  ['$1$HOME_', ''],
])('%s becomes %s', (text, wanted) => {
  expect(
    expand(
      text,
      new Map([
        ['PATH', '/bin'],
        ['HOME', '/root'],
      ]),
    ),
  ).toBe(wanted);
});

test('of variables in plain text those values are masked whose names say so, and passwords in URLs', () => {
  const file = `API_KEY=abcdefgh12\nexport DB_PASSWORD="two words"\nHF_TOKEN=hf_abcdefgh\nDATABASE_URL=postgres://app:p%40ss@db/x
MAX_TOKENS=40960000\nTOKENIZERS_PARALLELISM=disabled\nKEY_PATH=/etc/keys/one\nTOKEN=true\nAPI_TOKEN=12345678\nMODE=production
PGPASSWORD=12345678901\nMAIL=smtp://me:ab/cdefg@host:25\n`;
  expect(secretValues([...parseEnvFile(file, 'test.env'), 'WANDB_API-KEY=wandbwandb'])).toEqual([
    'abcdefgh12',
    'two words',
    'hf_abcdefgh',
    'p%40ss',
    'p@ss',
    '12345678901',
    'ab/cdefg',
    'wandbwandb',
  ]);
});

test('an envFile is read as godotenv reads it', () => {
  const text = `
# comment
A=1
export B = "two words" # comment
C='$A \\n' #x
D="a\\n\\"$A\${B}\\$A"
E=x#y $A # z
A=2
F="one
two"
G=
H: yaml\r
`;
  expect(parseEnvFile(text, 'x.env')).toEqual([
    'B=two words', 'C=$A \\n', 'D=a\n"1two words$A', 'E=x#y 1', 'A=2', 'F=one\ntwo', 'G=', 'H=yaml',
  ]); // prettier-ignore
  expect(() => parseEnvFile('A=1\nB="x\n', 'x.env')).toThrow('x.env:2: the value of B has no end');
  expect(() => parseEnvFile('A=1\n\nNAME\n', 'x.env')).toThrow('x.env:3: there is no NAME=value');
});

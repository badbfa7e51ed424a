import { expect, test } from '@jest/globals';
import { asJsonList } from '../../../engine/base/single-quotes.ts';

test.each([
  ["['a']", '["a"]'],
  [" [ 'a b' , \"c\",'-d' ] ", '["a b", "c", "-d"]'],
  ['[\'say "x"\']', '["say \\"x\\""]'],
  ["['']", '[""]'],
])('makes JSON of a list in single quotes: %j', (text, json) => {
  expect(asJsonList(text)).toBe(json);
});

test.each(['["a"]', '[]', "['a'", "['a' 'b']", "['a',]", '[ -f x ]', "[ 'a' = b ]", "echo ['a']"])(
  'leaves what is no such list: %j',
  (text) => {
    expect(asJsonList(text)).toBeUndefined();
  },
);

import { describe, expect, test } from '@jest/globals';
import { matchesPattern } from '../../../engine/image/reference-list.ts';
import { parseReference } from '../../../engine/image/reference.ts';

describe('a bad image name', () => {
  test.each([
    ['', 'it is empty'],
    ['ghcr.io/Org/app', "the repository 'Org/app' must be lower case"],
    ['MyImage', "the repository 'library/MyImage' must be lower case"],
    ['p\u0443thon', "'\u0443' (U+0443) isn't a letter of an image name"],
    ['a\u001b[2J', 'the character U+001B'],
    ['a b', 'the character U+0020'],
    ['docker://alpine', 'it starts with the scheme docker://'],
    ['https://ghcr.io/a/b', 'it starts with the scheme https://'],
    ['$IMAGE', 'the variable $IMAGE was left in it'],
    ['a:${TAG}', 'the variable ${TAG} was left in it'],
    ['host:port/a', "'port' isn't a port"],
    [`a:${'t'.repeat(129)}`, 'the tag has 129 characters'],
    ['a:-t', "'-t' isn't a tag"],
    [`ghcr.io/${'a'.repeat(256)}`, 'has 256 characters, and at most 255'],
    ['a@sha256:abc', "'sha256:abc' isn't a digest"],
    [`a@md5:${'0'.repeat(32)}`, "isn't a digest"],
    ['a//b', "isn't of the form"],
    ['a'.repeat(64), 'it is an image id'],
    ['x'.repeat(100_000), ''],
    [`$${'A'.repeat(5000)}`, 'the variable $AAA'],
  ])('%.40j is told what is wrong', (text, state) => {
    const act = () => parseReference(text);
    expect(act).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
    expect(act).toThrow(state);
  });

  test('says what to write instead', () => {
    expect(() => parseReference('ghcr.io/Org/app')).toThrow(expect.objectContaining({ hint: 'Write ghcr.io/org/app' }));
    expect(() => parseReference('MyImage')).toThrow(expect.objectContaining({ hint: 'Write myimage' }));
  });

  test('is shown without its control characters and cut', () => {
    expect.assertions(2);
    try {
      parseReference(`\u001b]0;$${'x'.repeat(1000)}`);
    } catch (error) {
      expect((error as Error).message).not.toContain('\u001b');
      expect((error as Error).message.length).toBeLessThan(400);
    }
  });
});

describe('a pattern of image names', () => {
  test.each([
    ['org/*', 'ghcr.io/org/app:1', false],
    ['ghcr.io/*/app', 'ghcr.io/org/app:1', true],
    ['ghcr.io/*/*:[0-2]', 'ghcr.io/org/app:1', true],
    ['*:[^1]', 'python:1', false],
    ['p?thon*', 'python:3.11', true],
    ['p\\ython', 'python', true],
    ['*n*', 'python:3', true],
    ['*/*', 'python', false],
  ])('%j on %s is %s', (pattern, name, wanted) => {
    expect(matchesPattern(parseReference(name), pattern)).toBe(wanted);
  });

  test.each(['[', '[]', '[b-a]', 'a\\', '[a-]', '[-a]'])('that is none is refused: %j', (pattern) => {
    const act = () => matchesPattern(parseReference('a'), pattern);
    expect(act).toThrow(expect.objectContaining({ code: 'REFERENCE_PATTERN_INVALID' }));
  });

  test('with many stars is matched in no time to speak of', () => {
    expect(matchesPattern(parseReference(`a:${'a'.repeat(120)}`), `${'*a'.repeat(500)}b`)).toBe(false);
  });
});

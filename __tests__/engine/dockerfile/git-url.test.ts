import { describe, expect, test } from '@jest/globals';
import { parseGitUrl } from '../../../engine/dockerfile/git/url.ts';

describe('the host of a git URL', () => {
  test.each([
    ['https://example.com/a.git', 'example.com'],
    ['https://me@example.com:8443/a.git', 'example.com:8443'],
    ['https://me:pass@example.com/a@b.git', 'example.com'],
    ['ssh://git@[::1]:22/a.git', '[::1]:22'],
  ])('%s', (url, host) => {
    expect(parseGitUrl(url)?.host).toBe(host);
  });

  test.each([
    String.raw`https://example.com\@other.test/a.git`,
    'https://example.com@me@other.test/a.git',
    'https://example.com\t@other.test/a.git',
    'https://example.com @other.test/a.git',
  ])('is refused where two programs would read two: %j', (url) => {
    expect(parseGitUrl(url)).toBeUndefined();
  });
});

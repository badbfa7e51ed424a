import { describe, expect, test } from '@jest/globals';
import { isInside } from '../../../engine/base/inside.ts';

describe('isInside', () => {
  test.each([
    ['/a', '/a', true],
    ['/a', '/a/b', true],
    ['/a', '/a/..b', true],
    ['/', '/a', true],
    ['/a/', '/a/b/', true],
    ['/a', '/ab', false],
    ['/a', '/', false],
    ['/a', '/a/../b', false],
    ['/a/b', '/a', false],
    ['/a', '/..', false],
  ])('of %s and %s is what the folders say', (folder, path, wanted) => {
    expect(isInside(folder, path)).toBe(wanted);
  });
});

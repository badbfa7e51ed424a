import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { readIgnoreLines } from '../../engine/context/ignorefile.ts';
import { compilePatterns, type IgnorePattern } from '../../engine/context/pattern/ignore.ts';
import { createIgnoreMatcher, type ParentMatches } from '../../engine/context/pattern/matcher.ts';
import { filesNamed, vectorTexts } from './seeds.ts';
import { slowMatch } from './slow-match.ts';
import type { FuzzTarget } from './target.ts';

/** Lines to patterns to verdicts: the same as a reader that tries every way, and an ignored folder is read where an exception may be below. */
export const ignoreFile: FuzzTarget = {
  name: 'ignore-file',
  material: {
    seeds: [
      ...filesNamed(resolve(import.meta.dirname, '../../examples'), (name) => name.endsWith('.dockerignore')),
      '**/*.md\n!README.md\n  a/b  \n!a/b/c/4.txt\n**/node_modules\n.git*\n*.py[co]\n/n/../x*\n',
      '*\n!src/**\n!models/*.onnx\nsrc/**/tests\n**/*.[!a-c]\n# comment\n#comment\\\n\\#no comment\n',
      '**a**\na**b\n***\n**/\n/**\n./a/../b/\n!\n! a\n[a-c\\]]x\n\\*\na?/*/**/c\n',
      ...vectorTexts(['dockerignore'], (text) => text.length < 500),
    ],
    words: [
      ...[
        '*',
        '**',
        '**/',
        '/**',
        '?',
        '[a-c]',
        '[^b]',
        '[',
        ']',
        '\\',
        '\\*',
        '!',
        '! ',
        '#',
        '/',
        '//',
        '..',
        '.',
        './',
      ],
      ...[
        'a',
        'b',
        'c',
        'ab',
        'a/b',
        '\n',
        '\n!',
        '\r\n',
        ' ',
        '\t',
        '\uFEFF',
        '\u00e9',
        '\u{1f40b}',
        '\ud83d',
        '-',
        '^',
      ],
    ],
  },
  check: (text) => {
    const lines = readIgnoreLines(text);
    // What looks like a comment, blanks and exceptions is read in another way the second time.
    const plain = lines.filter((line) => !/^!?[#\s\uFEFF]|\s$|^!?$|^!?\/|^!\./.test(line));
    assert.deepEqual(readIgnoreLines(plain.join('\n')), plain, 'read again');
    const compiled = compilePatterns(lines);
    if ('bad' in compiled) return assert(lines.includes(compiled.bad), `${compiled.bad} is no line`);
    for (const path of pathsFor(compiled.patterns)) checkPath(compiled.patterns, path);
  },
};

/** Paths that the patterns are about, and some that they just miss. */
function pathsFor(patterns: readonly IgnorePattern[]): readonly string[] {
  const named = patterns
    .slice(0, 30)
    .map(({ text }) => text.replace(/\[[^\]]*\]|\\(.)/g, (_, escaped?: string) => escaped ?? 'a'))
    .flatMap((text) => [
      text.replaceAll('*', ''),
      text.replaceAll('*', 'a').replaceAll('?', 'b'),
      text.replaceAll('**', 'a/b'),
    ])
    .map((path) =>
      path
        .split('/')
        .filter((part) => part !== '')
        .slice(0, 6)
        .join('/')
        .slice(0, 40),
    );
  return [...new Set(['a', 'a/b', 'ab/c', 'b.c', ...named, ...named.map((path) => `${path}/c`)])].filter(
    (path) => path !== '',
  );
}

/** The verdict of a walk that hands each folder's result down, by the definition. */
function checkPath(patterns: readonly IgnorePattern[], path: string): void {
  const matcher = createIgnoreMatcher(patterns);
  let parent: ParentMatches | undefined;
  let matched: readonly boolean[] = [];
  const ignoredFolders: string[] = [];
  const parts = path.split('/');
  for (const depth of parts.keys()) {
    const at = parts.slice(0, depth + 1).join('/');
    const verdict = matcher.verdict(at, parent);
    const slow = slowVerdict(patterns, at, matched);
    assert.equal(
      verdict.isIgnored,
      slow.isIgnored,
      `${JSON.stringify(at)} by ${JSON.stringify(patterns.map(({ text }) => text))}`,
    );
    if (!verdict.isIgnored)
      for (const folder of ignoredFolders) assert(matcher.mayHoldExceptions(folder), `${folder} is not read for ${at}`);
    if (verdict.isIgnored) ignoredFolders.push(at);
    [parent, matched] = [verdict.matches, slow.matched];
  }
}

/** Each pattern in turn: it matches what is below what it has matched; it is only asked where it would change the verdict. */
function slowVerdict(
  patterns: readonly IgnorePattern[],
  path: string,
  above: readonly boolean[],
): { readonly isIgnored: boolean; readonly matched: readonly boolean[] } {
  let isIgnored = false;
  const matched = patterns.map(({ text, isException }, at) => {
    const isMatch = above[at] === true || (isException === isIgnored && slowMatch(text, path));
    if (isMatch) isIgnored = !isException;
    return isMatch;
  });
  return { isIgnored, matched };
}

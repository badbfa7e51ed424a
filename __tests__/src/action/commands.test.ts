import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createCommands } from '../../../src/action/commands.ts';
import { neutralize, neutralizeLine } from '../../../src/action/neutralize.ts';
import { parseCommand } from '../../helpers/runner.ts';
import { runs } from '../../helpers/property.ts';

const ALL = new Set(['set-output', 'set-env', 'add-mask', 'stop-commands', 'error', 'group']);

/** What a program can print to be obeyed: both spellings, with all that the runner passes over. */
const FORGED = [
  '::set-output name=digest::sha256:bad',
  '  \t::set-env name=PATH::/evil',
  '\u0085::add-mask::x',
  ':\u200b:set-output name=digest::bad',
  '\u00ad::set-output name=digest::bad',
  '\u0000::stop-commands::tok',
  ':\u034f:error::bad',
  '\ufeff::error::bad',
  'text ##[set-output name=digest]bad',
  '###[set-env name=A]bad',
  '#\u200d#\u2060[error]bad',
  '##[stop-commands]tok',
];

describe('neutralize', () => {
  test.each(FORGED)('leaves nothing to obey in %j', (line) => {
    expect(parseCommand(line, ALL)).toBeDefined();
    for (const clean of neutralize(line)) expect(parseCommand(clean, ALL)).toBeUndefined();
  });

  test('keeps the text readable', () => {
    expect(neutralizeLine('::set-output name=a::b')).toBe('\\::set-output name=a::b');
    expect(neutralizeLine('see ##[set-env name=A]b')).toBe('see #\\#[set-env name=A]b');
    expect(neutralizeLine('a::b std::vector #[derive]')).toBe('a::b std::vector #[derive]');
  });

  test('sees a command behind a lone carriage return, where the runner begins a line', () => {
    expect(neutralize('progress 10%\r::set-output name=a::b')).toEqual(['progress 10%', '\\::set-output name=a::b']);
  });

  test('finds every forged line among random neighbours', () => {
    const noise = fc.string({
      unit: fc.constantFrom(' ', ':', '#', '[', ']', '\u200b', '\u0301', '\t', 'a', '\u0085', '\0', 'set-output', '\r'),
    });
    fc.assert(
      fc.property(noise, fc.constantFrom(...FORGED), noise, (before, forged, after) => {
        for (const line of neutralize(before + forged + after)) expect(parseCommand(line, ALL)).toBeUndefined();
      }),
      runs(2000),
    );
  });
});

describe('commands', () => {
  const written = (act: (commands: ReturnType<typeof createCommands>) => void): readonly string[] => {
    const parts: string[] = [];
    act(createCommands((text) => parts.push(text)));
    return parts.join('').split('\n').slice(0, -1);
  };

  test('stop the runner around foreign text, with a fresh token a block', () => {
    const lines = written((commands) => {
      commands.foreign('one');
      commands.foreign('two');
      commands.mask(['s3cret']);
      commands.foreign('three');
    });
    const tokens = lines.flatMap((line) => /^::stop-commands::([0-9a-f]{32})$/.exec(line)?.[1] ?? []);
    expect(tokens).toHaveLength(2);
    expect(new Set(tokens).size).toBe(2);
    expect(lines).toEqual([
      `::stop-commands::${tokens[0]}`,
      'one',
      'two',
      `::${tokens[0]}::`,
      '::add-mask::s3cret',
      `::stop-commands::${tokens[1]}`,
      'three',
    ]);
  });

  test('resume, mask and leave in one write, so that nothing comes between', () => {
    const writes: string[] = [];
    const commands = createCommands((text) => writes.push(text));
    commands.foreign('x');
    commands.mask(['a-secret', 'another']);
    expect(writes.at(-1)).toMatch(/^::[0-9a-f]{32}::\n::add-mask::a-secret\n::add-mask::another\n$/);
  });

  test('escape what would end an annotation', () => {
    const [line] = written((commands) => commands.annotate('error', 'a\n::b % c', { file: 'a:b,c', line: 3 }));
    expect(line).toBe('::error file=a%3Ab%2Cc,line=3::a%0A::b %25 c');
    expect(parseCommand(line ?? '', ALL)).toEqual({
      name: 'error',
      properties: { file: 'a:b,c', line: '3' },
      data: 'a\n::b % c',
    });
  });

  test('never mask nothing', () => {
    expect(written((commands) => commands.mask(['', '  ']))).toEqual([]);
  });
});

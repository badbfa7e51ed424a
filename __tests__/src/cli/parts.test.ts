import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createParts, type Parts } from '../../../src/cli/parts.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-parts-'));
  mkdirSync(join(folder, 'kept'));
  write('main.js', "module.exports={add:(a)=>a+require('./one.js').value(),own:require('node:own')}");
  write('one.js', 'exports.value=()=>1');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the parts of the bundled program', () => {
  test('load each other once, and parts of Node', () => {
    const parts = open();
    expect(add(parts)).toBe(42);
    expect(parts.load('one.js')).toBe(parts.load('one.js'));
    expect((parts.load('main.js') as { own: unknown }).own).toBe('node:own');
  });

  test('load what takes long when something in it is asked for, and once', () => {
    const asked: string[] = [];
    const require = (id: string): unknown => {
      asked.push(id);
      return { createHash: () => 'hash', randomInt: () => 4 };
    };
    write('main.js', "const c=require('node:crypto');exports.hash=()=>c.createHash();exports.number=()=>c.randomInt()");
    const parts = createParts({ folder, main: 'main.js', kept: undefined, words: [], flags: [], require });
    // Type: what the part above exports.
    const { hash, number } = parts.load('main.js') as Record<'hash' | 'number', () => unknown>;
    expect(asked).toEqual([]);
    expect([hash(), number(), hash()]).toEqual(['hash', 4, 'hash']);
    expect(asked).toEqual(['node:crypto']);
  });

  test('run from the code that an earlier command kept, which is not written again', () => {
    keep('--rm');
    const before = statSync(codeFile()).ino;
    expect(keep('--rm')).toBe(42);
    expect(statSync(codeFile()).ino).toBe(before);
    expect(keep('--init')).toBe(42);
    expect(statSync(codeFile()).ino).not.toBe(before);
  });

  test('are what their files say, whatever was kept of others of the same length', () => {
    keep('--rm');
    write('one.js', 'exports.value=()=>2');
    expect(keep('--rm')).toBe(43);
    expect(keep('--rm')).toBe(43);
  });

  test('run without the code when that is damaged, and keep it anew', () => {
    keep('--rm');
    const whole = readFileSync(codeFile());
    for (const damaged of [
      whole.subarray(0, -500),
      Buffer.concat([whole.subarray(0, 4), Buffer.alloc(whole.length)]),
    ]) {
      writeFileSync(codeFile(), damaged);
      expect(keep('--rm')).toBe(42);
      expect(readFileSync(codeFile()).length).toBeGreaterThan(whole.length / 2);
    }
  });

  test('have code of their own for other flags of Node, which would reject it', () => {
    keep('--rm');
    const parts = open('--rm', true, ['--max-old-space-size=512']);
    expect(add(parts)).toBe(42);
    parts.keep();
    expect(readdirSync(join(folder, 'kept'))).toHaveLength(2);
  });

  test('run where nothing can be kept', () => {
    const parts = open('--rm', false);
    expect(add(parts)).toBe(42);
    parts.keep();
    expect(readdirSync(join(folder, 'kept'))).toEqual([]);
  });
});

function write(name: string, body: string): void {
  writeFileSync(join(folder, name), `(function(exports,require,module,__filename){${body}})\n`);
}

function open(option = '--rm', keeps = true, flags: readonly string[] = []): Parts {
  const kept = keeps ? join(folder, 'kept') : undefined;
  return createParts({ folder, main: 'main.js', kept, words: ['run', option], flags, require: (id) => id });
}

/** One command: its result, and what it keeps. */
function keep(option: string): number {
  const parts = open(option);
  const result = add(parts);
  parts.keep();
  return result;
}

function add(parts: Parts): number {
  // Type: what the part above exports.
  return (parts.load('main.js') as { readonly add: (a: number) => number }).add(41);
}

function codeFile(): string {
  return join(folder, 'kept', readdirSync(join(folder, 'kept'))[0] ?? '');
}

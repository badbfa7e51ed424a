import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { PAGE, withTables } from '../../scripts/docker-flags.ts';

describe('the page of refused commands and flags', () => {
  const page = readFileSync(PAGE, 'utf8');

  test('says what the command line refuses; node scripts/node24.mjs scripts/docker-flags.ts writes it', () => {
    expect(page).toBe(withTables(page));
  });

  test.each([
    ['`run`', '`--storage-opt`', 'leave it out'],
    ['`images`', '`--tree`', 'berth images lists'],
    ['`rm`', '`--link`', 'berth rm removes the container'],
    ['`network create`', '`--ingress`', 'leave --ingress out'],
    ['before any', '`-H`', 'no daemon'],
  ])('tells for %s %s what to type instead', (command, flag, instead) => {
    const row = page.split('\n').find((line) => line.startsWith(`| ${command} `) && line.includes(`| ${flag} `));
    expect(row).toContain(instead);
  });
});

import assert from 'node:assert/strict';
import { isEngineError } from '../../engine/base/errors.ts';
import { matchesPattern, sortReferences } from '../../engine/image/reference-list.ts';
import {
  familiarString,
  formatReference,
  nameOf,
  parseAnyReference,
  parseReference,
  parseStrict,
  toPullReference,
  withDefaultTag,
} from '../../engine/image/reference.ts';
import { vectorTexts } from './seeds.ts';
import type { FuzzTarget } from './target.ts';

const HEX = 'f'.repeat(64);

/** Names of images: what is read is read again as the same from each of its forms; patterns of names are matched or refused. */
export const reference: FuzzTarget = {
  name: 'reference',
  material: {
    seeds: [
      ...['python:3.11-slim', 'ghcr.io/org/app/part:1.2.3-rc.1', 'localhost/a', 'localhost:5000/a/b@sha256:' + HEX],
      ...[
        'docker.io/library/a',
        'index.docker.io/a',
        '[fe80::1]:443/a_b__c-d:T',
        'HOST/a',
        HEX,
        `sha256:${HEX}`,
        'a*/?[b-d]:x',
      ],
      ...vectorTexts(['references'], (text) => text.length < 400),
    ],
    words: [
      ...[
        'a',
        'B',
        '0',
        '-',
        '_',
        '.',
        '/',
        ':',
        '@',
        'sha256:',
        'sha512:',
        HEX,
        'localhost',
        '[::1]',
        'docker.io',
        '5000',
      ],
      ...[
        'library/',
        'index.docker.io/',
        '__',
        '--',
        '*',
        '?',
        '[',
        ']',
        '[b-a]',
        '\\',
        '^',
        '\u00e9',
        '\ud83d',
        ' ',
        '\n',
        '$A',
      ],
    ],
  },
  check: (text) => {
    checkPattern(text);
    checkOrder(text);
    const strict = readOrRefuse(() => parseStrict(text));
    if (strict) assert.deepEqual(parseStrict(formatReference(strict)), strict);
    const read = readOrRefuse(() => parseReference(text));
    if (!read) return;
    assert(nameOf(read).length <= text.length + 'docker.io/library/'.length);
    assert.deepEqual(parseReference(formatReference(read)), read);
    // As with Docker, a short form may look like the name of another registry, or like an image id.
    const short = familiarString(read);
    const isOther = /^[0-9a-f]{64}$/.test(short) || /^(?:localhost|[^/]*[.:][^/]*)\//.test(short);
    if (!isOther) assert.deepEqual(parseReference(short), read);
    const any = parseAnyReference(text);
    if (!('id' in any)) assert.deepEqual(any, read);
    assert.deepEqual(parseStrict(formatReference(read)), read);
    assert.equal(formatReference(read), formatReference(parseStrict(formatReference(read))));
    const pulled = toPullReference(read);
    assert.deepEqual([toPullReference(pulled), withDefaultTag(pulled)], [pulled, pulled]);
    assert.deepEqual(parseReference(formatReference(pulled)), pulled);
  },
};

function readOrRefuse<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!isEngineError(error)) throw error;
    assert(error.message.length < 1000, `a message of ${error.message.length} characters`);
    return undefined;
  }
}

function checkPattern(text: string): void {
  const name = parseReference('ghcr.io/org/app:1');
  readOrRefuse(() => matchesPattern(name, text.slice(0, 200)));
}

function checkOrder(text: string): void {
  const texts = text.split(/(?<=[:/])/).slice(0, 20);
  const sorted = sortReferences(texts);
  assert.deepEqual([...sorted].sort(), [...texts].sort());
  assert.deepEqual(sortReferences([...sorted].reverse()), sorted);
}

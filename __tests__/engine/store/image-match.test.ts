import { describe, expect, test } from '@jest/globals';
import { matchFor } from '../../../engine/store/image-match.ts';
import { withIndexes } from '../../../engine/store/indexes.ts';
import type { StoredImage } from '../../../engine/store/types.ts';

const HOST = { os: 'linux', architecture: 'amd64' };
const OTHER = { os: 'linux', architecture: 's390x' };
const NAME = 'docker.io/library/base:1';

function image(architecture: string, { names = [], places }: { names?: string[]; places: string[] }): StoredImage {
  const config = { os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [] } } as const;
  const id = `sha256:${architecture.padEnd(64, '0').replace(/[^0-9a-f]/g, '1')}` as const;
  return { id, config, names, repoDigests: places.map((at) => `docker.io/library/base@sha256:${at}`), size: 0 };
}

describe('the image of a name for another platform', () => {
  const other = image('s390x', { places: ['old'] });
  const found = (places: string[]): StoredImage | undefined =>
    matchFor(NAME, OTHER, withIndexes([image('amd64', { names: [NAME], places }), other], [], HOST));

  test('is the one that came from the same index', () => {
    expect(found(['old'])?.id).toBe(other.id);
    expect(found(['new', 'old'])?.id).toBe(other.id);
  });

  test('is none of an index before the one that the name was last found by', () => {
    expect(found(['old', 'new'])).toBeUndefined();
    expect(found(['new'])).toBeUndefined();
  });
});

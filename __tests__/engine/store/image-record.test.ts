import { describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import type { Descriptor } from '../../../engine/image/types.ts';
import { isImageRecord, seenClaims, withoutManifest, withPut } from '../../../engine/store/image-record.ts';
import type { ImageRecord } from '../../../engine/store/image-record.ts';
import type { NewImage } from '../../../engine/store/types.ts';

const id = digestOf('config');
const manifest = (name: string): Descriptor => ({ mediaType: OCI_MANIFEST, digest: digestOf(name), size: 1 });
const [ours, theirs, third] = [manifest('ours'), manifest('theirs'), manifest('third')];
const PYTHON = 'docker.io/library/python';

/** The record after some puts, each for all or for a scope. */
const after = (...puts: readonly (Omit<NewImage, 'id'> & { readonly scope?: string })[]): ImageRecord =>
  puts.reduce<ImageRecord>((record, { scope, ...image }) => withPut(record, { id, ...image }, scope), {
    v: 1,
    id,
    repoDigests: [],
  });

describe('the manifests of an image', () => {
  test.each([
    ['before', [{ manifest: ours }, { manifest: theirs, scope: 'seven' }]],
    ['after', [{ manifest: theirs, scope: 'seven' }, { manifest: ours }]],
  ])('are each scope’s own, whoever came %s', (_when, puts) => {
    const record = after(...puts);
    expect(isImageRecord(JSON.parse(JSON.stringify(record)))).toBe(true);
    expect(seenClaims(record, undefined).manifest).toEqual(ours);
    expect(seenClaims(record, 'eight').manifest).toEqual(ours);
    expect(seenClaims(record, 'seven').manifest).toEqual(theirs);
    expect(seenClaims(after({ manifest: theirs, scope: 'seven' }), undefined).manifest).toBeUndefined();
    // A prune keeps both.
    expect(new Set(seenClaims(record, undefined).manifests)).toEqual(new Set([ours, theirs]));
  });

  test('stay when another repository gives one, which its own names mean', () => {
    const record = after({ manifest: ours, from: PYTHON }, { manifest: theirs, from: 'evil.example/x' });
    expect(seenClaims(record, undefined)).toMatchObject({
      manifest: ours,
      pulled: [
        { manifest: ours, from: PYTHON },
        { manifest: theirs, from: 'evil.example/x' },
      ],
    });
    const newer = withPut(record, { id, manifest: third, from: PYTHON }, undefined);
    expect(seenClaims(newer, undefined).manifest).toEqual(third);
  });

  test('give way to one that was made or loaded here', () => {
    const record = after({ manifest: theirs, from: 'evil.example/x' }, { manifest: ours });
    expect(seenClaims(record, undefined)).toMatchObject({ manifest: ours, pulled: [], manifests: [ours] });
  });

  test('whose blobs are lost are replaced where they stand, and no other', () => {
    const record = after({ manifest: ours }, { manifest: theirs, from: 'evil.example/x' });
    const renewed = withPut(record, { id, manifest: third, instead: theirs.digest }, undefined);
    expect(seenClaims(renewed, undefined)).toMatchObject({ manifest: ours, pulled: [{ manifest: third }] });
  });

  test('go for everybody where one is wrong', () => {
    const record = after({ manifest: ours }, { manifest: theirs, scope: 'seven' }, { base: third });
    const left = withoutManifest(record, theirs.digest);
    expect(seenClaims(left, 'seven')).toMatchObject({ manifest: ours, base: third, manifests: [ours] });
    expect(seenClaims(withoutManifest(left, ours.digest), undefined).manifest).toBeUndefined();
  });

  test('and the places of them that strangers know mean nothing to others', () => {
    const own = `${PYTHON}@${digestOf('index')}`;
    const evil = `${PYTHON}@${digestOf('evil index')}`;
    const record = after({ repoDigests: [own] }, { repoDigests: [evil], scope: 'seven' });
    expect(seenClaims(record, undefined).repoDigests).toEqual([own]);
    expect(seenClaims(record, 'seven').repoDigests).toEqual([own, evil]);
  });

  test('of an earlier version are everybody’s', () => {
    const old: ImageRecord = { v: 1, id, manifest: ours, repoDigests: [] };
    expect(isImageRecord(old)).toBe(true);
    expect(seenClaims(old, 'seven').manifest).toEqual(ours);
  });

  test.each([
    ['a manifest without a digest', { manifest: {} }],
    ['scopes that are none', { scopes: [] }],
    ['a scope without places', { scopes: { seven: {} } }],
    ['a pulled one from nowhere', { beside: [{ manifest: ours }] }],
  ])('are not read from a record with %s', (_what, fault) => {
    expect(isImageRecord({ v: 1, id, repoDigests: [], ...fault })).toBe(false);
  });
});

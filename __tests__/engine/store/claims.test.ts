import { describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_LAYER, OCI_LAYER_GZIP } from '../../../engine/image/media-type.ts';
import type { Descriptor } from '../../../engine/image/types.ts';
import { isVerified, mapClaims, seenBy, seenByAll, withForms, withoutBlobs } from '../../../engine/store/claims.ts';
import type { WholeLayerRecord } from '../../../engine/store/types.ts';

const none: WholeLayerRecord = { v: 1, diffId: digestOf('layer'), blobs: [], snapshots: [], sources: {} };
const blob = (name: string): Descriptor => ({ mediaType: OCI_LAYER_GZIP, digest: digestOf(name), size: name.length });
const [a, b] = [blob('a'), blob('b')];
const digests = (record: WholeLayerRecord, scope?: string): readonly string[] =>
  seenBy(record, scope).blobs.map(({ digest }) => digest);

describe('what is said of a layer', () => {
  test('to a scope is seen by it alone, and to all by everybody', () => {
    const said = withForms(withForms(none, { blobs: [a] }, undefined), { blobs: [b] }, 'seven');
    expect(digests(said)).toEqual([a.digest]);
    expect(digests(said, 'eight')).toEqual([a.digest]);
    expect(digests(said, 'seven')).toEqual([b.digest, a.digest]);
    expect(seenByAll(said).blobs).toEqual([b, a]);
  });

  test('sends nobody else to the places that a scope names', () => {
    const ours = withForms(none, { blobs: [a], sources: { [a.digest]: ['reg.example/ours'] } }, undefined);
    const said = withForms(ours, { sources: { [a.digest]: ['evil.example/theirs'] } }, 'seven');
    expect(seenBy(said, undefined).sources).toEqual({ [a.digest]: ['reg.example/ours'] });
    expect(seenBy(said, 'seven').sources[a.digest]).toEqual(['reg.example/ours', 'evil.example/theirs']);
  });

  test('is everybody’s once a blob was seen to hold it, and stands before what is only said', () => {
    const said = withForms(none, { blobs: [a] }, undefined);
    const found = withForms(said, { blobs: [b], verified: [b.digest] }, 'seven');
    expect(digests(found)).toEqual([b.digest, a.digest]);
    expect([a, b].map((one) => isVerified(seenBy(found, 'eight'), one))).toEqual([false, true]);
  });

  test('of a blob that is known changes neither its kind nor its size', () => {
    const found = withForms(none, { blobs: [a], verified: [a.digest] }, undefined);
    const other = { ...a, mediaType: OCI_LAYER, size: 7 };
    for (const scope of [undefined, 'seven']) {
      const seen = seenBy(withForms(found, { blobs: [other] }, scope), scope);
      expect(seen.blobs).toEqual([a]);
      expect(isVerified(seen, other)).toBe(false);
      expect(isVerified(seen, { ...a, size: 7 })).toBe(false);
    }
  });

  test('about its size counts until somebody has seen its files', () => {
    const said = withForms(none, { blobs: [a], size: 10 ** 15 }, 'seven');
    expect([seenBy(said, undefined).size, seenBy(said, 'seven').size]).toEqual([undefined, 10 ** 15]);
    const found = withForms(said, { size: 5, snapshots: [{ idMap: 'root', name: 'x' }] }, undefined);
    expect(seenBy(withForms(found, { size: 10 ** 15 }, 'seven'), 'seven').size).toBe(5);
    expect(seenBy(withForms(found, { size: 10 ** 15 }, undefined), undefined).size).toBe(5);
  });

  test('by an earlier version is read, and verified is none of it', () => {
    const old: WholeLayerRecord = { ...none, blobs: [a], sources: { [a.digest]: ['reg.example/ours'] } };
    expect(seenBy(old, 'seven')).toEqual(old);
    expect(isVerified(seenBy(old, undefined), a)).toBe(false);
  });

  test('goes for everybody with a blob that is not the layer', () => {
    const said = withForms(withForms(none, { blobs: [a], cached: [a.digest] }, undefined), { blobs: [a, b] }, 'seven');
    const left = withoutBlobs(withForms(said, { blobs: [a], verified: [a.digest] }, 'seven'), new Set([a.digest]));
    expect(seenByAll(left).blobs).toEqual([b]);
    expect([left.verified, left.cached]).toEqual([[], []]);
  });

  test('is changed in every scope at once', () => {
    const said = withForms(withForms(none, { blobs: [a] }, undefined), { blobs: [b] }, 'seven');
    expect(seenByAll(mapClaims(said, (claims) => ({ ...claims, blobs: [] }))).blobs).toEqual([]);
  });
});

import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { parseConfig } from '../../../engine/image/config.ts';
import { descriptorOf } from '../../../engine/image/descriptor.ts';
import { rootField } from '../../../engine/image/fields.ts';
import { readJson } from '../../../engine/image/json.ts';
import { parseGraphNode } from '../../../engine/image/manifest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import { describeVectors, readVectors, vectorPath } from '../../helpers/vectors.ts';

interface Case {
  readonly schema: string;
  readonly note: string;
  readonly valid: boolean;
  readonly text: string;
  readonly docker_media_types?: boolean;
}

/** What our readers ask beyond the schema, or don't ask, each with its reason. */
const DIFFERENT: readonly (readonly [RegExp, string])[] = [
  [/empty layer, expected at least one/, 'images of no layers exist, and work'],
  [/test bounds of algorithm|alternate digest|modulo arithmetic/, 'digests that are not sha256 are refused by name'],
  [/valid config with optional fields/, 'its history tells of other layers than its diff_ids, which is refused'],
  [/Env is invalid/, 'an environment is given to the container as it is'],
  [/invalide url characters/, 'urls are never followed'],
];

const cases = existsSync(vectorPath('oci-schema'))
  ? readVectors<{ cases: Case[] }>('oci-schema', 'image-vectors.json').cases
  : [];
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'content-descriptor.json': (text) => descriptorOf(rootField(readJson(text, 'it'), 'it')),
  'image-manifest-schema.json': (text) => kindOf(text, 'manifest', OCI_MANIFEST),
  'image-index-schema.json': (text) => kindOf(text, 'index', OCI_INDEX),
  'config-schema.json': (text) => parseConfig(Buffer.from(text), { what: 'it' }),
};

describeVectors('oci-schema', () => {
  const readable = cases.filter(({ schema }) => READERS[schema] !== undefined);
  test('has documents to read', () => expect(readable.length).toBeGreaterThan(50));
  test.each(readable.map((each) => [each.schema, each.note, each] as const))(
    '%s: %s',
    (schema, note, { text, valid }) => {
      const reason = DIFFERENT.find(([pattern]) => pattern.test(note))?.[1];
      const act = (): unknown => READERS[schema]?.(text);
      if (reason === undefined ? valid : !valid) expect(act).not.toThrow();
      else expect(act).toThrow(expect.objectContaining({ code: expect.stringMatching(/^[A-Z_]+$/) }));
    },
  );
});

/** The type by which the document is announced stands in for its own where it has none, or one of Docker's. */
function kindOf(text: string, kind: string, announced: string): void {
  const value = readJson(text, 'it') as { mediaType?: string };
  const node = parseGraphNode(Buffer.from(text), { what: 'it', mediaType: value.mediaType ?? announced });
  if (node.kind !== kind) throw Object.assign(new Error(`it is a ${node.kind}`), { code: 'KIND' });
}

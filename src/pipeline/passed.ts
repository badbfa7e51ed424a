import type { Digest } from '../../engine/index.ts';
import type { SmokeReport, SmokeTest } from '../smoke/index.ts';

/** What a pass is remembered by, beside the engine: which manifest, and which test. */
export interface PassKey {
  readonly digest: Digest;
  /** `auto`, `structure`, or the fingerprint of a smoke-test file and all that it names. */
  readonly test: string;
}

/**
 * Asks whether an image passed before, with the same engine and under the same isolation (DESIGN.md 8).
 *
 * @returns what was found then, with `passedIn` set; undefined when it has to be tested
 */
export type PassedBefore = (key: PassKey) => SmokeReport | undefined;

/** The key of a test; undefined when the test is off, or depends on more than its file. */
export function passKeyOf(digest: Digest, test: SmokeTest): PassKey | undefined {
  if (test.kind === 'off') return undefined;
  // What a command or a mounted folder will say is not known before.
  if (test.kind === 'spec' && !test.spec.isClosed) return undefined;
  return { digest, test: test.kind === 'spec' ? test.spec.fingerprint : test.kind };
}

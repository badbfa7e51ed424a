import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { ContainerConfig, Digest, Platform } from '../image/types.ts';
import type { Membership } from './network/endpoints.ts';
import type { Rootfs } from '../native/protocol.ts';
import type { VolumeUse } from './volumes.ts';

/** What the engine wants to know of a container later; the helper keeps it beside the container, where the container cannot write. */
export interface ContainerRecord {
  readonly v: 1;
  readonly name: string;
  readonly image: string;
  readonly imageId: Digest;
  /** What the image is for. */
  readonly platform?: Platform | undefined;
  readonly rootfs: Rootfs;
  readonly args: readonly string[];
  readonly hostname: string;
  /** The image's configuration with the caller's changes. */
  readonly config: ContainerConfig;
  /** `NAME=value` that its devices and links brought: no part of the configuration that inspect shows. */
  readonly deviceEnv?: readonly string[] | undefined;
  /** Volumes that are bound into it. */
  readonly volumes?: readonly VolumeUse[] | undefined;
  /** As it was asked for. */
  readonly spec: RunSpec;
  readonly stopSignal: string;
  readonly address?: string | undefined;
  /** Its places on networks of the store. */
  readonly memberships?: readonly Membership[] | undefined;
}

/** Largest record in bytes that the helper takes. */
const MAX_RECORD = 1024 * 1024;

/** @throws `RECORD_TOO_LARGE` naming the container */
export function encodeRecord(record: ContainerRecord): string {
  const text = JSON.stringify(record);
  if (Buffer.byteLength(text) <= MAX_RECORD) return text;
  throw new EngineError(
    'RECORD_TOO_LARGE',
    `Cannot start ${record.name}: its environment, labels and command are over ${MAX_RECORD} bytes together`,
  );
}

/** The record of a container; undefined when another version of the engine, or nobody, wrote it. */
export function decodeRecord(text: string): ContainerRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('v' in value) || value.v !== 1) return undefined;
    // Type: only `encodeRecord` writes version 1, into a place that only the engine and the helper can write.
    return value as ContainerRecord;
  } catch {
    return undefined;
  }
}

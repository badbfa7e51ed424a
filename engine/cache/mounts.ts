import { createHash } from 'node:crypto';
import { isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { ForbiddenValue } from '../store/forbidden.ts';
import { badIndex, toLayer } from './exchange-index.ts';

/** The content of a `RUN --mount=type=cache` in a cache outside this machine: one tar, packed as a layer is. */
export interface MountRecord {
  /** Made of id, owner, mode and what it begins with: the name of its folder where there is no scope ({@link mountFolder}). */
  readonly name: string;
  /** Keys of the steps that have filled it, and so of the files that feed them; the newest first. */
  readonly steps: readonly Digest[];
  readonly diffId: Digest;
  /** Bytes of the plain tar. */
  readonly size: number;
  readonly blob: Descriptor;
  /** When a step last mounted it (RFC 3339). */
  readonly usedAt: string;
}

/** What steps of this engine have mounted and filled. */
export interface MountUse {
  /** What the Dockerfile calls it, for people. */
  readonly id: string;
  readonly steps: ReadonlySet<Digest>;
}

/** One build's memory of its mounts; kept when all of its steps have ended well. */
export interface MountTracker {
  /** A step is about to run, since nothing is remembered under this key. */
  step(vertex: string, key: string): void;
  /** It mounts a cache that it can write to. */
  mounted(vertex: string, mount: { readonly name: string; readonly id: string }): void;
  /** @param forbidden values that no content may hold */
  keep(forbidden: readonly ForbiddenValue[]): void;
}

/** Cache mounts on their way between this store and a cache outside this machine. */
export interface MountLedger {
  /** What the outer cache has, by name. */
  readonly offered: Map<string, MountRecord>;
  readonly used: ReadonlyMap<string, MountUse>;
  readonly forbidden: readonly ForbiddenValue[];
  track(): MountTracker;
}

/** Numbered folders of `sharing=private` are for one build; the first one has a plain name. */
const NAME = /^[0-9a-f]{64}$/;
const MAX_MOUNTS = 200;
const MAX_STEPS = 50;

/** The lock of a cache mount's folder. */
export function mountLock(folder: string): string {
  return `cache-mount-${folder}`;
}

/** The folder of a cache mount. What is known of the mount outside this machine has its name; who uses which folder is decided by the scope. */
export function mountFolder(name: string, scope: string | undefined): string {
  if (scope === undefined) return name;
  return createHash('sha256')
    .update(JSON.stringify([name, scope]))
    .digest('hex');
}

export function createMountLedger(): MountLedger {
  const used = new Map<string, MountUse>();
  const forbidden = new Map<string, ForbiddenValue>();
  return {
    offered: new Map(),
    used,
    get forbidden() {
      return [...forbidden.values()].map((value, at) => ({ ...value, id: String(at) }));
    },
    track: () => {
      const keys = new Map<string, Digest>();
      const mounts: { readonly vertex: string; readonly name: string; readonly id: string }[] = [];
      return {
        step: (vertex, key) => {
          if (isDigest(key)) keys.set(vertex, key);
        },
        mounted: (vertex, mount) => void mounts.push({ vertex, ...mount }),
        keep: (values) => {
          for (const value of values) forbidden.set(Buffer.from(value.value).toString('latin1'), value);
          for (const { vertex, name, id } of mounts) {
            const key = keys.get(vertex);
            if (key === undefined || !NAME.test(name)) continue;
            used.set(name, { id, steps: new Set([key, ...(used.get(name)?.steps ?? [])]) });
          }
        },
      };
    },
  };
}

/** True when all that filled the mount is among what had filled the record: its content need not be packed again. */
export function saysMount(record: MountRecord, { steps }: MountUse): boolean {
  return [...steps].every((step) => record.steps.includes(step));
}

/** The steps of a new record: those of now before those that are known. */
export function stepsOf({ steps }: MountUse, before: MountRecord | undefined): readonly Digest[] {
  return [...new Set([...steps, ...(before?.steps ?? [])])].slice(0, MAX_STEPS);
}

/**
 * Records from outside.
 *
 * @throws `CACHE_INDEX` naming the first thing that is wrong
 */
export function parseMountRecords(value: unknown): readonly MountRecord[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_MOUNTS) throw badIndex('its cache mounts are no list, or too many');
  return value.map(toRecord);
}

function toRecord(value: unknown, at: number): MountRecord {
  if (typeof value !== 'object' || value === null) throw badIndex(`cache mount ${at} is no object`);
  const { name, steps, usedAt } = value as Readonly<Record<string, unknown>>;
  const { diffId, size, blob } = toLayer(value, at);
  const right =
    typeof name === 'string' &&
    NAME.test(name) &&
    Array.isArray(steps) &&
    steps.length <= MAX_STEPS &&
    steps.every(isDigest) &&
    typeof usedAt === 'string' &&
    usedAt.length <= 40 &&
    !Number.isNaN(Date.parse(usedAt));
  if (!right || size === undefined) throw badIndex(`cache mount ${at} is not well formed`);
  return { name, steps, diffId, size, blob, usedAt };
}

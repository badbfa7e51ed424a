import { EngineError } from '../base/errors.ts';
import { digestFieldOf } from './descriptor.ts';
import {
  type Field,
  integerOf,
  invalid,
  isSet,
  listOf,
  member,
  objectOf,
  optional,
  rootField,
  stringMapOf,
  stringOf,
  stringsOf,
} from './fields.ts';
import { type JsonObject, readJson } from './json.ts';
import { MAX_LAYERS } from './manifest.ts';
import type { ContainerConfig, Healthcheck, History, ImageConfig } from './types.ts';

/** Bytes of the largest image configuration that is read. */
export const MAX_CONFIG_SIZE = 4 * 1024 * 1024;

/** In the order in which Go writes them. */
export const IMAGE_KEYS: readonly string[] = [
  'created',
  'author',
  'architecture',
  'os',
  'variant',
  'os.version',
  'os.features',
  'config',
  'rootfs',
  'history',
];
/** Those of `config`, in the same order. */
export const CONTAINER_KEYS: readonly string[] = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'ArgsEscaped',
  'Healthcheck',
  'Shell',
  'OnBuild',
];
/** In the order in which Go writes them. */
export const HISTORY_KEYS: readonly string[] = ['created', 'created_by', 'author', 'comment', 'empty_layer'];
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Reads an image configuration. Fields that we don't know stay as they are; null counts as absent. Source: image-spec, config.md.
 *
 * @param options `layers` is how many the manifest has
 * @throws `JSON_INVALID`, `DOCUMENT_INVALID`, `DIGEST_INVALID`, `TOO_LARGE` naming the field
 */
export function parseConfig(
  content: Uint8Array,
  options: { readonly what: string; readonly layers?: number | undefined },
): ImageConfig {
  const { what, layers } = options;
  if (content.length > MAX_CONFIG_SIZE) {
    throw new EngineError(
      'TOO_LARGE',
      `Cannot read ${what}: it has ${content.length} bytes, over the limit of ${MAX_CONFIG_SIZE}`,
    );
  }
  const field = rootField(readJson(content, what), what);
  const config = configOf(field);
  const { diff_ids } = config.rootfs;
  if (layers !== undefined && diff_ids.length !== layers) {
    throw invalid(field, `rootfs.diff_ids names ${diff_ids.length} layers, and the manifest has ${layers}`);
  }
  checkHistory(field, config);
  return config;
}

function configOf(field: Field): ImageConfig {
  const raw = objectOf(field, IMAGE_KEYS);
  const rootfs = member(field, 'rootfs');
  objectOf(rootfs, ['type', 'diff_ids']);
  if (stringOf(member(rootfs, 'type')) !== 'layers') throw invalid(field, "rootfs.type must be 'layers'");
  return {
    ...unknownFields(raw, IMAGE_KEYS),
    architecture: stringOf(member(field, 'architecture')),
    os: stringOf(member(field, 'os')),
    ...optional(field, 'created', timeOf),
    ...optional(field, 'author', stringOf),
    ...optional(field, 'variant', stringOf),
    ...optional(field, 'os.version', stringOf),
    ...optional(field, 'os.features', stringsOf),
    ...optional(field, 'config', containerConfigOf),
    rootfs: { type: 'layers', diff_ids: listOf(member(rootfs, 'diff_ids'), MAX_LAYERS).map(digestFieldOf) },
    ...optional(field, 'history', (list) => listOf(list, 10_000).map(historyOf)),
  };
}

function containerConfigOf(field: Field): ContainerConfig {
  const raw = objectOf(field, CONTAINER_KEYS);
  return {
    ...unknownFields(raw, CONTAINER_KEYS),
    ...optional(field, 'User', stringOf),
    ...optional(field, 'ExposedPorts', setOf),
    ...optional(field, 'Env', stringsOf),
    ...optional(field, 'Entrypoint', stringsOf),
    ...optional(field, 'Cmd', stringsOf),
    ...optional(field, 'Volumes', setOf),
    ...optional(field, 'WorkingDir', stringOf),
    ...optional(field, 'Labels', stringMapOf),
    ...optional(field, 'StopSignal', stringOf),
    ...optional(field, 'ArgsEscaped', booleanOf),
    ...optional(field, 'Healthcheck', healthcheckOf),
    ...optional(field, 'Shell', stringsOf),
    ...optional(field, 'OnBuild', stringsOf),
  };
}

function healthcheckOf(field: Field): Healthcheck {
  objectOf(field, ['Test', 'Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries']);
  return {
    Test: stringsOf(member(field, 'Test')),
    ...optional(field, 'Interval', integerOf),
    ...optional(field, 'Timeout', integerOf),
    ...optional(field, 'StartPeriod', integerOf),
    ...optional(field, 'StartInterval', integerOf),
    ...optional(field, 'Retries', integerOf),
  };
}

function historyOf(field: Field): History {
  const raw = objectOf(field, HISTORY_KEYS);
  return {
    ...unknownFields(raw, HISTORY_KEYS),
    ...optional(field, 'created', timeOf),
    ...optional(field, 'created_by', stringOf),
    ...optional(field, 'author', stringOf),
    ...optional(field, 'comment', stringOf),
    ...optional(field, 'empty_layer', booleanOf),
  };
}

/** An image without history is fine; a history of other layers is not. */
function checkHistory(field: Field, { history, rootfs }: ImageConfig): void {
  if (history === undefined || history.length === 0) return;
  const filled = history.filter((entry) => entry.empty_layer !== true).length;
  if (filled === rootfs.diff_ids.length) return;
  throw invalid(field, `history tells of ${filled} layers, and rootfs.diff_ids names ${rootfs.diff_ids.length}`);
}

/** A Go `map[string]struct{}`: the keys count, the values are `{}`. */
function setOf(field: Field): Readonly<Record<string, Record<string, never>>> {
  const keys = Object.keys(objectOf(field, []));
  for (const key of keys) if (isSet(member(field, key))) objectOf(member(field, key), []);
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

function booleanOf(field: Field): boolean {
  if (typeof field.value !== 'boolean') throw invalid(field, `${field.path} must be true or false`);
  return field.value;
}

function timeOf(field: Field): string {
  const text = stringOf(field);
  if (!RFC_3339.test(text)) throw invalid(field, `${field.path} '${text.slice(0, 40)}' isn't a time of RFC 3339`);
  return text;
}

function unknownFields(raw: JsonObject, known: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(raw).filter(([key]) => !known.includes(key)));
}

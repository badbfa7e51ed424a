import { decodePercent } from '../../engine/index.ts';
import { isObject, type Json } from './json.ts';

const MAX_HOPS = 16;

/** A member of its own; undefined when `value` is no object, or has none of that name. */
export function member(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

export function elementAt(value: Json | undefined, index: number): Json | undefined {
  return Array.isArray(value) ? (value as readonly Json[])[index] : undefined;
}

/** Its members, none when it is no object. */
export function membersOf(value: Json | undefined): readonly (readonly [string, Json])[] {
  return isObject(value) ? Object.entries(value) : [];
}

/** Its elements, none when it is no list. */
export function elementsOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** What a `$ref` inside this document stands for; undefined for one that leads elsewhere, to nothing, or in a circle. */
export function resolveRef(document: Json, value: Json | undefined): Json | undefined {
  let found = value;
  for (let hops = 0; hops < MAX_HOPS; hops += 1) {
    const ref = member(found, '$ref');
    if (ref === undefined) return found;
    if (typeof ref !== 'string' || !ref.startsWith('#/')) return undefined;
    found = ref.slice(2).split('/').map(unescape).reduce<Json | undefined>(step, document);
  }
  return undefined;
}

function step(value: Json | undefined, key: string): Json | undefined {
  return Array.isArray(value) ? elementAt(value, Number(key)) : member(value, key);
}

function unescape(part: string): string {
  return decodePercent(part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

import { childPath, isObject, type Json } from './json.ts';
import type { JsonPath } from './jsonpath.ts';
import { locationKey } from './jsonpath.ts';
import { show } from './predicates.ts';

/** NumPy's words: two numbers are close when |a − b| ≤ atol + rtol · |b|, b being the wanted one. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
  /** Places that may differ or be missing. */
  readonly ignore: readonly JsonPath[];
}

const MAX_DIFFERENCES = 10;

/**
 * Where `got` differs from `wanted`, as sentences: numbers by tolerance, everything else exactly. At most ten, then how many more.
 * NaN is close to NaN, as in `assert_allclose`.
 */
export function differences(got: Json, wanted: Json, tolerance: Tolerance): readonly string[] {
  const ignored = new Set(
    tolerance.ignore.flatMap((path) => [...path.select(got), ...path.select(wanted)].map(({ location }) => location)),
  );
  const found: string[] = [];
  const compare = (
    a: Json | undefined,
    b: Json | undefined,
    path: string,
    location: readonly (string | number)[],
  ): void => {
    if (ignored.has(locationKey(location))) return;
    if (a === undefined || b === undefined) {
      found.push(
        a === undefined ? `${path}: wanted ${show(b ?? null)}, got nothing` : `${path}: wanted nothing, got ${show(a)}`,
      );
    } else if (isList(a) && isList(b)) {
      for (let i = 0; i < Math.max(a.length, b.length); i += 1) compare(a[i], b[i], `${path}[${i}]`, [...location, i]);
    } else if (isObject(a) && isObject(b)) {
      for (const key of new Set([...Object.keys(b), ...Object.keys(a)])) {
        compare(own(a, key), own(b, key), childPath(path, key), [...location, key]);
      }
    } else if (typeof a === 'number' && typeof b === 'number') {
      if (!isClose(a, b, tolerance))
        found.push(`${path}: wanted ${b}, got ${a} (rtol ${tolerance.rtol}, atol ${tolerance.atol})`);
    } else if (a !== b) {
      found.push(`${path}: wanted ${show(b)}, got ${show(a)}`);
    }
  };
  compare(got, wanted, '$', []);
  const rest = found.length - MAX_DIFFERENCES;
  return rest > 0 ? [...found.slice(0, MAX_DIFFERENCES), `and ${rest} more differences`] : found;
}

/** NumPy's `isclose` with `equal_nan`. Infinities are close only to themselves. */
export function isClose(got: number, wanted: number, { rtol, atol }: Pick<Tolerance, 'rtol' | 'atol'>): boolean {
  if (Object.is(got, wanted) || got === wanted) return true;
  if (!Number.isFinite(got) || !Number.isFinite(wanted)) return false;
  return Math.abs(got - wanted) <= atol + rtol * Math.abs(wanted);
}

function own(object: { readonly [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

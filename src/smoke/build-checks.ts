import type { BuildContext } from './build-context.ts';
import type { Json } from './json.ts';
import type { Path } from './place.ts';
import { toPredicates, type Predicates } from './predicates.ts';
import { regexProblem } from './regex.ts';
import type { HeaderCheck, JsonPathCheck, ReadinessProbe } from './spec.ts';

/** A mapping of JSONPaths to values or predicates, compiled. */
export function buildChecks(
  at: Path,
  wanted: Readonly<Record<string, Json>> | undefined,
  context: BuildContext,
): readonly JsonPathCheck[] {
  return Object.entries(wanted ?? {}).flatMap(([source, value]) => {
    const path = context.jsonPath(at, source);
    const predicates = checked([...at, source], value, context);
    return path === undefined ? [] : [{ path, predicates, location: context.place([...at, source]) }];
  });
}

/** A mapping of JSONPaths to the value, or list of values, that is final. */
export function buildFailWhen(
  wanted: Readonly<Record<string, Json>> | undefined,
  at: Path,
  context: BuildContext,
): ReadinessProbe['failWhen'] {
  return Object.entries(wanted ?? {}).flatMap(([source, values]) => {
    const path = context.jsonPath(at, source);
    return path === undefined ? [] : [{ path, values: Array.isArray(values) ? (values as readonly Json[]) : [values] }];
  });
}

/** A mapping of header names to values or predicates. */
export function buildHeaderChecks(
  at: Path,
  wanted: Readonly<Record<string, Json>> | undefined,
  context: BuildContext,
): readonly HeaderCheck[] {
  return Object.entries(wanted ?? {}).map(([name, value]) => ({
    name: name.toLowerCase(),
    predicates: checked([...at, name], typeof value === 'number' ? String(value) : value, context),
    location: context.place([...at, name]),
  }));
}

function checked(path: Path, value: Json, context: BuildContext): Predicates {
  const predicates = toPredicates(value);
  const pattern = predicates['matches'];
  const problem = typeof pattern === 'string' ? regexProblem(pattern) : undefined;
  if (problem !== undefined) context.problems.push({ message: problem, place: context.place([...path, 'matches']) });
  return predicates;
}

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { suggest } from '../../engine/index.ts';
import type { Path, PlacedYaml } from './place.ts';
import type { SpecProblem } from './problem.ts';
import schema from './schema.json' with { type: 'json' };

const validate = new Ajv2020({ allErrors: true, verbose: true, strict: false, strictNumbers: true }).compile(schema);

/** What the language of smoke-test.md 4.3 has and this version has not: refused by name, never ignored. */
const NOT_YET: readonly { readonly at: RegExp; readonly names: readonly string[] }[] = [
  { at: /^$/, names: ['structure-tests', 'openapi'] },
  { at: /^\/readinessProbe$/, names: ['initialDelaySeconds', 'failureThreshold', 'exec', 'tcpSocket', 'grpc'] },
  { at: /^\/readinessProbe\/httpGet$/, names: ['host', 'scheme', 'httpHeaders'] },
];

const INSTEAD: Readonly<Record<string, string>> = {
  openapi: 'Write it under `response:` of a request',
  initialDelaySeconds: 'Leave it out: probing starts at once and lasts startupTimeoutSeconds',
  failureThreshold: 'Use startupTimeoutSeconds',
};

/** What is wrong with a parsed spec, by its schema: sorted by place, one problem a place. */
export function findProblems(yaml: PlacedYaml): readonly SpecProblem[] {
  if (validate(yaml.value)) return [];
  const problems = (validate.errors ?? []).map((error) => toProblem(error, yaml));
  const unique = new Map(problems.map((problem) => [`${problem.place.startLine}:${problem.place.column}`, problem]));
  return [...unique.values()].sort((a, b) => a.place.startLine - b.place.startLine || a.place.column - b.place.column);
}

function toProblem(error: ErrorObject, yaml: PlacedYaml): SpecProblem {
  const path = toPath(error.instancePath);
  if (error.keyword === 'additionalProperties') return unknownKey(error, path, yaml);
  if (error.keyword === 'required') {
    const { missingProperty } = error.params as { readonly missingProperty: string };
    return { message: `${nameOf(path)} needs \`${missingProperty}\``, place: yaml.locate(path) };
  }
  if (error.keyword === 'propertyNames' || error.propertyName !== undefined) {
    const name = String(error.propertyName ?? (error.params as { readonly propertyName?: string }).propertyName);
    return { message: `\`${name}\` cannot be a name here`, place: yaml.locate([...path, name], { key: true }) };
  }
  const wanted = descriptionOf(error.parentSchema) ?? error.message ?? 'something else';
  return { message: `${nameOf(path)} is ${show(error.data)}: wanted ${wanted}`, place: yaml.locate(path) };
}

function unknownKey(error: ErrorObject, path: Path, yaml: PlacedYaml): SpecProblem {
  const { additionalProperty: name } = error.params as { readonly additionalProperty: string };
  const place = yaml.locate([...path, name], { key: true });
  if (NOT_YET.some(({ at, names }) => at.test(error.instancePath) && names.includes(name))) {
    return { message: `\`${name}\` is not supported yet`, hint: INSTEAD[name] ?? `Remove \`${name}\``, place };
  }
  const known = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
  const meant = suggest(name, known);
  const hint = meant === undefined ? `Known here: ${known.join(', ')}` : `Did you mean \`${meant}\`?`;
  return { message: `unknown key \`${name}\`${path.length > 0 ? ` in ${nameOf(path)}` : ''}`, hint, place };
}

/** A JSON pointer as keys; a digit string becomes an index where the parent is a list, which YAML's getIn accepts as well. */
function toPath(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function nameOf(path: Path): string {
  const dotted = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return dotted === '' ? 'the smoke test' : `\`${dotted.replace(/^\./, '')}\``;
}

function descriptionOf(parent: unknown): string | undefined {
  if (typeof parent !== 'object' || parent === null || !('description' in parent)) return undefined;
  return typeof parent.description === 'string' ? parent.description : undefined;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (value === null) return 'empty';
  if (typeof value === 'object') return 'a mapping';
  return JSON.stringify(value) ?? 'missing';
}

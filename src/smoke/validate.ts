import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { suggest } from '../../engine/index.ts';
import type { Path, PlacedYaml } from './place.ts';
import type { SpecProblem } from './problem.ts';
import schema from './schema.json' with { type: 'json' };

/** A language of files: its JSON Schema, and what a name that it does not have is answered. */
export interface Language {
  readonly schema: object;
  /** What the whole of such a file is called. */
  readonly whole: string;
  /** Names that other versions or tools have: refused by name, never ignored. */
  readonly refused: readonly Refused[];
}

/** Names at some places, and for some of them what to write instead. */
interface Refused {
  readonly at: RegExp;
  readonly names: readonly string[];
}

const INSTEAD: Readonly<Record<string, string>> = {
  initialDelaySeconds: 'Leave it out: probing starts at once and lasts startupTimeoutSeconds',
  failureThreshold: 'Use startupTimeoutSeconds',
};

/** Finds what is wrong with a parsed file: sorted by place, one problem a place. */
export type FindProblems = (yaml: PlacedYaml) => readonly SpecProblem[];

/** Compiles a language once. */
export function createFinder(language: Language): FindProblems {
  const ajv = new Ajv2020({ allErrors: true, verbose: true, strict: false, strictNumbers: true });
  const validate = ajv.compile(language.schema);
  return (yaml) => {
    if (validate(yaml.value)) return [];
    const problems = (validate.errors ?? []).map((error) => toProblem(error, yaml, language));
    const unique = new Map(problems.map((problem) => [`${problem.place.startLine}:${problem.place.column}`, problem]));
    return [...unique.values()].sort(
      (a, b) => a.place.startLine - b.place.startLine || a.place.column - b.place.column,
    );
  };
}

/** What is wrong with a smoke test, by its schema (smoke-test.md 4.3). */
export const findProblems: FindProblems = createFinder({
  schema,
  whole: 'the smoke test',
  refused: [
    { at: /^\/readinessProbe$/, names: ['initialDelaySeconds', 'failureThreshold', 'exec', 'tcpSocket', 'grpc'] },
    { at: /^\/readinessProbe\/httpGet$/, names: ['host', 'scheme', 'httpHeaders'] },
  ],
});

function toProblem(error: ErrorObject, yaml: PlacedYaml, language: Language): SpecProblem {
  const path = toPath(error.instancePath);
  if (error.keyword === 'additionalProperties') return unknownKey(error, path, yaml, language);
  if (error.keyword === 'required') {
    const { missingProperty } = error.params as { readonly missingProperty: string };
    return { message: `${nameOf(path, language.whole)} needs \`${missingProperty}\``, place: yaml.locate(path) };
  }
  if (error.keyword === 'propertyNames' || error.propertyName !== undefined) {
    const name = String(error.propertyName ?? (error.params as { readonly propertyName?: string }).propertyName);
    return { message: `\`${name}\` cannot be a name here`, place: yaml.locate([...path, name], { key: true }) };
  }
  const wanted = descriptionOf(error.parentSchema) ?? error.message ?? 'something else';
  return {
    message: `${nameOf(path, language.whole)} is ${show(error.data)}: wanted ${wanted}`,
    place: yaml.locate(path),
  };
}

function unknownKey(error: ErrorObject, path: Path, yaml: PlacedYaml, language: Language): SpecProblem {
  const { refused, whole } = language;
  const { additionalProperty: name } = error.params as { readonly additionalProperty: string };
  const place = yaml.locate([...path, name], { key: true });
  if (refused.some(({ at, names }) => at.test(error.instancePath) && names.includes(name))) {
    return { message: `\`${name}\` is not supported yet`, hint: INSTEAD[name] ?? `Remove \`${name}\``, place };
  }
  const known = propertiesOf(error.parentSchema);
  const meant = suggest(name, Object.keys(known));
  const owner = ownerOf(name, known, language);
  const hint =
    owner !== undefined
      ? `Write it under \`${owner}:\``
      : meant === undefined
        ? `Known here: ${Object.keys(known).join(', ')}`
        : `Did you mean \`${meant}\`?`;
  return { message: `unknown key \`${name}\`${path.length > 0 ? ` in ${nameOf(path, whole)}` : ''}`, hint, place };
}

/** The key beside it below which a name would be right: `path` of a request that stands next to `request`. */
function ownerOf(name: string, known: Properties, { schema: root }: Language): string | undefined {
  const owners = Object.entries(known).filter(([, part]) => Object.hasOwn(propertiesOf(resolve(part, root)), name));
  return owners.length === 1 ? owners[0]?.[0] : undefined;
}

type Properties = Readonly<Record<string, unknown>>;

function propertiesOf(schema: unknown): Properties {
  if (typeof schema !== 'object' || schema === null || !('properties' in schema)) return {};
  return schema.properties as Properties;
}

/** What a reference inside the schema stands for; ours lead to `$defs` alone. */
function resolve(part: unknown, root: object): unknown {
  if (typeof part !== 'object' || part === null || !('$ref' in part)) return part;
  const name = String(part.$ref).slice('#/$defs/'.length);
  return '$defs' in root ? (root.$defs as Properties)[name] : undefined;
}

/** A JSON pointer as keys; a digit string becomes an index where the parent is a list, which YAML's getIn accepts as well. */
function toPath(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function nameOf(path: Path, whole: string): string {
  const dotted = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return dotted === '' ? whole : `\`${dotted.replace(/^\./, '')}\``;
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

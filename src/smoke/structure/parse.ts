import { createBuildContext, type BuildContext } from '../build-context.ts';
import type { SpecFiles } from '../files.ts';
import { parsePlacedYaml, type Path, type PlacedYaml } from '../place.ts';
import type { SpecProblem } from '../problem.ts';
import { createFinder, type FindProblems } from '../validate.ts';
import { compileGoRegex, type GoRegex } from './go-regex.ts';
import { buildRunOptions } from './run-options.ts';
import schema from './schema.json' with { type: 'json' };
import type {
  CommandTest,
  ContentTest,
  ExistenceTest,
  LicenseTest,
  MetadataTest,
  StructureFile,
  Variable,
  WantedPair,
} from './types.ts';

let finder: FindProblems | undefined;

/** Compiled when the first such file is read: most smoke tests name none. */
function findProblems(yaml: PlacedYaml): readonly SpecProblem[] {
  finder ??= createFinder({ schema, whole: 'the structure test', refused: [] });
  return finder(yaml);
}

const VERSION = '2.0.0';

/**
 * Reads a file of container-structure-test as it is, YAML or JSON: what the tool's own strict reader takes is taken, and everything in it is done.
 *
 * @returns the file, or what is wrong with it
 */
export async function parseStructure(
  text: string,
  source: string,
  files: SpecFiles,
  lookup: BuildContext['lookup'],
): Promise<StructureFile | readonly SpecProblem[]> {
  const read = parsePlacedYaml(text, source, '1.1');
  if (read.problems.length > 0) return read.problems;
  const yaml = { ...read, value: withoutNulls(read.value) };
  const version = versionProblem(yaml);
  const problems = version === undefined ? findProblems(yaml) : [version];
  if (problems.length > 0) return problems;
  const context = createBuildContext(yaml, files, lookup);
  // The schema let it through, so it has this shape.
  const file = await build(yaml.value as Raw, source, { ...context, yaml });
  if (context.problems.length > 0) return context.problems;
  return asksNothing(file) ? [{ ...NO_TESTS, place: yaml.locate([]) }] : file;
}

const NO_TESTS = {
  message: 'the structure test tests nothing',
  hint: 'Write commandTests, fileExistenceTests, fileContentTests, metadataTest or licenseTests',
} as const;

/** A list that stayed empty would be a pass of what somebody thinks is tested. */
function asksNothing({ commands, files, contents, licenses, metadata }: StructureFile): boolean {
  const looked = licenses.filter((test) => test.debian || test.files.length > 0);
  const lists = [...commands, ...files, ...contents, ...looked];
  return lists.length === 0 && (metadata === undefined || comparesNothing(metadata));
}

function comparesNothing({ entrypoint, cmd, workdir, user, ...lists }: MetadataTest): boolean {
  const single = [entrypoint, cmd, workdir, user].some((value) => value !== undefined);
  return !single && Object.values(lists).every((value) => !Array.isArray(value) || value.length === 0);
}

/** Go reads an empty value as none. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutNulls(member)]));
}

function versionProblem(yaml: PlacedYaml): SpecProblem | undefined {
  const { value } = yaml;
  if (typeof value !== 'object' || value === null || !('schemaVersion' in value)) return undefined;
  const version = yaml.textOf(['schemaVersion']);
  if (version === VERSION) return undefined;
  const hint =
    version === '1.0.0'
      ? `Write schemaVersion: ${VERSION}, and each \`command: [which, python3]\` as \`command: which\` with \`args: [python3]\``
      : `Write schemaVersion: ${VERSION}`;
  return {
    message: `\`schemaVersion\` is ${JSON.stringify(version)}: wanted ${VERSION}`,
    hint,
    place: yaml.locate(['schemaVersion']),
  };
}

type Text = string | number | boolean;
type RawPair = { readonly key: Text; readonly value?: Text; readonly isRegex?: boolean };

/** The file as its schema lets it through. */
export interface Raw {
  readonly globalEnvVars?: readonly RawPair[];
  readonly commandTests?: readonly (Readonly<Record<Patterns, readonly Text[] | undefined>> & {
    readonly setup?: readonly (readonly Text[])[];
    readonly teardown?: readonly (readonly Text[])[];
    readonly envVars?: readonly RawPair[];
    readonly args?: readonly Text[];
    readonly exitCode?: number;
  })[];
  readonly fileExistenceTests?: readonly {
    readonly shouldExist?: boolean;
    readonly permissions?: string;
    readonly uid?: number;
    readonly gid?: number;
    readonly isExecutableBy?: 'owner' | 'group' | 'other' | 'any' | '';
  }[];
  readonly fileContentTests?: readonly {
    readonly expectedContents?: readonly Text[];
    readonly excludedContents?: readonly Text[];
  }[];
  readonly metadataTest?: Readonly<Record<string, readonly unknown[] | Text | undefined>>;
  readonly licenseTests?: readonly { readonly debian?: boolean; readonly files?: readonly Text[] }[];
  readonly containerRunOptions?: {
    readonly privileged?: boolean;
    readonly allocateTty?: boolean;
    readonly envVars?: readonly string[];
    readonly bindMounts?: readonly string[];
    readonly capabilities?: readonly Text[];
    readonly drop_capabilities?: readonly Text[];
    readonly network?: '' | 'none' | 'bridge' | 'host';
  };
}

type Patterns = 'expectedOutput' | 'excludedOutput' | 'expectedError' | 'excludedError';

/** A build context that knows the texts of the file. */
export type StructureContext = BuildContext & { readonly yaml: PlacedYaml };

async function build(raw: Raw, source: string, context: StructureContext): Promise<StructureFile> {
  return {
    source,
    globalEnv: variables(raw.globalEnvVars, ['globalEnvVars'], context),
    commands: (raw.commandTests ?? []).map((test, index) => toCommand(test, ['commandTests', index], context)),
    files: (raw.fileExistenceTests ?? []).map((test, index) =>
      toExistence(test, ['fileExistenceTests', index], context),
    ),
    contents: (raw.fileContentTests ?? []).map((test, index) => toContent(test, ['fileContentTests', index], context)),
    licenses: (raw.licenseTests ?? []).map((test, index) => toLicense(test, ['licenseTests', index], context)),
    metadata: raw.metadataTest === undefined ? undefined : toMetadata(raw.metadataTest, ['metadataTest'], context),
    options: await buildRunOptions(raw.containerRunOptions, ['containerRunOptions'], context),
  };
}

function toCommand(raw: NonNullable<Raw['commandTests']>[number], at: Path, context: StructureContext): CommandTest {
  return {
    name: textAt(context, [...at, 'name']),
    command: [textAt(context, [...at, 'command']), ...texts(raw.args, [...at, 'args'], context)],
    setup: commands(raw.setup, [...at, 'setup'], context),
    teardown: commands(raw.teardown, [...at, 'teardown'], context),
    env: variables(raw.envVars, [...at, 'envVars'], context),
    exitCode: raw.exitCode ?? 0,
    expectedOutput: patterns(raw.expectedOutput, [...at, 'expectedOutput'], context),
    excludedOutput: patterns(raw.excludedOutput, [...at, 'excludedOutput'], context),
    expectedError: patterns(raw.expectedError, [...at, 'expectedError'], context),
    excludedError: patterns(raw.excludedError, [...at, 'excludedError'], context),
    location: context.place(at),
  };
}

function toExistence(
  raw: NonNullable<Raw['fileExistenceTests']>[number],
  at: Path,
  context: StructureContext,
): ExistenceTest {
  const { shouldExist = true, permissions, uid = -1, gid = -1, isExecutableBy } = raw;
  return {
    name: textAt(context, [...at, 'name']),
    path: textAt(context, [...at, 'path']),
    shouldExist,
    // Go's zero values, which stand for nothing asked.
    permissions: permissions === '' ? undefined : permissions,
    uid: uid < 0 ? undefined : uid,
    gid: gid < 0 ? undefined : gid,
    isExecutableBy: isExecutableBy === '' ? undefined : isExecutableBy,
    location: context.place(at),
  };
}

function toContent(
  raw: NonNullable<Raw['fileContentTests']>[number],
  at: Path,
  context: StructureContext,
): ContentTest {
  return {
    name: textAt(context, [...at, 'name']),
    path: textAt(context, [...at, 'path']),
    expected: patterns(raw.expectedContents, [...at, 'expectedContents'], context),
    excluded: patterns(raw.excludedContents, [...at, 'excludedContents'], context),
    location: context.place(at),
  };
}

function toLicense(raw: NonNullable<Raw['licenseTests']>[number], at: Path, context: StructureContext): LicenseTest {
  return {
    debian: raw.debian ?? false,
    files: texts(raw.files, [...at, 'files'], context),
    location: context.place(at),
  };
}

function toMetadata(raw: NonNullable<Raw['metadataTest']>, at: Path, context: StructureContext): MetadataTest {
  const list = (name: string): readonly string[] => texts(listOf(raw[name]), [...at, name], context);
  const pairs = (name: string): readonly WantedPair[] =>
    listOf(raw[name]).map((pair, index) => wantedPair(pair as RawPair, [...at, name, index], context));
  const text = (name: string): string | undefined => textAt(context, [...at, name]) || undefined;
  return {
    // Renamed in version 1.12 of the tool; both names are written.
    env: [...pairs('env'), ...pairs('envVars')],
    unboundEnv: [...pairs('unboundEnv'), ...pairs('unboundEnvVars')].map(({ key }) => key),
    labels: pairs('labels'),
    entrypoint: raw['entrypoint'] === undefined ? undefined : list('entrypoint'),
    cmd: raw['cmd'] === undefined ? undefined : list('cmd'),
    exposedPorts: list('exposedPorts'),
    unexposedPorts: list('unexposedPorts'),
    volumes: list('volumes'),
    unmountedVolumes: list('unmountedVolumes'),
    workdir: text('workdir'),
    user: text('user'),
    location: context.place(at),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function wantedPair({ isRegex = false }: RawPair, at: Path, context: StructureContext): WantedPair {
  const key = textAt(context, [...at, 'key']);
  const value = textAt(context, [...at, 'value']);
  if (!isRegex) return { key, value };
  return { key, value: context.attempt<string | GoRegex>([...at, 'value'], () => compile(value), value) };
}

function variables(raw: readonly RawPair[] | undefined, at: Path, context: StructureContext): readonly Variable[] {
  return (raw ?? []).map((_pair, index) => ({
    key: textAt(context, [...at, index, 'key']),
    value: textAt(context, [...at, index, 'value']),
  }));
}

function commands(
  raw: readonly (readonly Text[])[] | undefined,
  at: Path,
  context: StructureContext,
): readonly (readonly string[])[] {
  return (raw ?? []).map((words, index) => texts(words, [...at, index], context));
}

function patterns(raw: readonly Text[] | undefined, at: Path, context: StructureContext): readonly GoRegex[] {
  return (raw ?? []).flatMap((_pattern, index) => {
    const place = [...at, index];
    const written = textAt(context, place);
    const compiled = context.attempt(place, () => compile(written), undefined);
    return compiled === undefined ? [] : [compiled];
  });
}

function compile(written: string): GoRegex {
  try {
    return compileGoRegex(written);
  } catch (error) {
    throw new Error(`${JSON.stringify(written)} is no regular expression: ${String((error as Error).message)}`, {
      cause: error,
    });
  }
}

/** Texts as they were written: a number stays `1.10`. */
export function texts(raw: readonly unknown[] | undefined, at: Path, context: StructureContext): readonly string[] {
  return (raw ?? []).map((_text, index) => textAt(context, [...at, index]));
}

/** A text as it was written; empty where there is none. */
export function textAt({ yaml }: StructureContext, path: Path): string {
  const value = path.reduce<unknown>(memberOf, yaml.value);
  // The value decides: an empty text in its place would match everything.
  if (typeof value === 'string') return value;
  const written = yaml.textOf(path);
  if (written !== undefined) return value === undefined ? '' : written;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function memberOf(value: unknown, name: string | number): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

import { messageOf } from '../../engine/index.ts';
import type { SpecFiles } from './files.ts';
import { jsonOf, parseJson, type Json } from './json.ts';
import { compileJsonPath, type JsonPath } from './jsonpath.ts';
import type { Path, Place, PlacedYaml } from './place.ts';
import type { SpecProblem } from './problem.ts';

/** What the parts of a spec are built with: places, files, and a list that takes every problem so that all are told at once. */
export interface BuildContext {
  /** A variable of the environment that the test is started in. */
  lookup(name: string): string | undefined;
  readonly files: SpecFiles;
  readonly problems: SpecProblem[];
  place(path: Path): Place;
  /** Runs `act`; what it throws becomes a problem at `path`, and `instead` the result. */
  attempt<T>(path: Path, act: () => T, instead: T): T;
  attemptAsync<T>(path: Path, act: () => Promise<T>, instead: T): Promise<T>;
  jsonPath(path: Path, source: string): JsonPath | undefined;
  /** JSON of a file name, or the value itself; a text that is JSON is no file name. */
  payload(
    path: Path,
    value: Json,
  ): Promise<{ readonly json: Json; readonly bytes: Uint8Array; readonly label: string }>;
}

export function createBuildContext(
  yaml: PlacedYaml,
  files: SpecFiles,
  lookup: BuildContext['lookup'] = () => undefined,
): BuildContext {
  const problems: SpecProblem[] = [];
  const fail = (path: Path, error: unknown): void => {
    problems.push({ message: messageOf(error), place: yaml.locate(path) });
  };
  const context: BuildContext = {
    files,
    lookup,
    problems,
    place: (path) => yaml.locate(path),
    attempt: (path, act, instead) => {
      try {
        return act();
      } catch (error) {
        fail(path, error);
        return instead;
      }
    },
    attemptAsync: async (path, act, instead) => {
      try {
        return await act();
      } catch (error) {
        fail(path, error);
        return instead;
      }
    },
    jsonPath: (path, source) => {
      try {
        return compileJsonPath(source);
      } catch (error) {
        problems.push({
          message: `\`${source}\` is no JSONPath: ${messageOf(error)}`,
          place: yaml.locate([...path, source], { key: true }),
        });
        return undefined;
      }
    },
    payload: (path, value) =>
      context.attemptAsync(path, () => readPayload(files, value), { json: null, bytes: new Uint8Array(), label: '' }),
  };
  return context;
}

async function readPayload(
  files: SpecFiles,
  value: Json,
): Promise<{ readonly json: Json; readonly bytes: Uint8Array; readonly label: string }> {
  if (typeof value !== 'string') {
    const text = JSON.stringify(value);
    return { json: value, bytes: Buffer.from(text), label: text };
  }
  // Nobody calls a file so, and many write the JSON of a curl line.
  const inline = /^\s*[[{]/.test(value) ? jsonOf(Buffer.from(value)) : undefined;
  if (inline !== undefined) return { json: inline, bytes: Buffer.from(value), label: value };
  const bytes = await files.read(value);
  try {
    return { json: parseJson(bytes.toString('utf8')).value, bytes, label: `@${value}` };
  } catch (error) {
    throw new Error(`${value} is no JSON: ${messageOf(error)}`, { cause: error });
  }
}

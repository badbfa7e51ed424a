import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { EngineError, messageOf } from '../../engine/index.ts';
import { parseRecords } from './csv.ts';
import type { RunnerContext } from './environment.ts';
import { resolveInputPath } from './paths.ts';
import type { Secret } from './secrets.ts';

/** What `RUN --mount=type=secret,id=…` reads. */
export interface BuildSecret {
  readonly id: string;
  readonly value: Uint8Array;
}

/** The build secrets of the inputs, so that they are known and masked before anything is printed. */
export interface ReadSecrets {
  readonly secrets: readonly BuildSecret[];
  /** Throws why some could not be read: that is told once the others are masked. */
  readonly check: () => void;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ID = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** BuildKit's own limit. */
const MAX_BYTES = 500 * 1024;

/**
 * `secrets`, `secret-envs` and `secret-files` in docker/build-push-action's form: one `id=value` a line, a value of several lines in double
 * quotes. Unlike there a value keeps the blanks around it, and a line that is no pair is an error. No message quotes a value.
 */
export async function readBuildSecrets(
  raw: ReadonlyMap<string, string>,
  env: Environment,
  runner: RunnerContext,
): Promise<ReadSecrets> {
  const secrets: BuildSecret[] = [];
  try {
    for (const [id, value] of pairsOf('secrets', raw)) add(secrets, 'secrets', id, Buffer.from(value));
    for (const [id, name] of pairsOf('secret-envs', raw))
      add(secrets, 'secret-envs', id, fromEnvironment(name.trim(), env));
    for (const [id, path] of pairsOf('secret-files', raw))
      add(secrets, 'secret-files', id, await fromFile(path.trim(), runner));
    return { secrets, check: () => undefined };
  } catch (error) {
    return {
      secrets,
      check: () => {
        throw error;
      },
    };
  }
}

/** As values to mask and to search for. Bytes that are no text can only be found by their base64. */
export function asSecrets(secrets: readonly BuildSecret[]): readonly Secret[] {
  return secrets
    .map(({ id, value }) => {
      const bytes = Buffer.from(value);
      return { name: `secrets: ${id}`, value: bytes.toString(isUtf8(bytes) ? 'utf8' : 'base64') };
    })
    .filter(({ value }) => value.trim() !== '');
}

/** One after the other, so that those before a mistake are known. */
function* pairsOf(name: string, raw: ReadonlyMap<string, string>): Generator<readonly [string, string]> {
  const lines = parseRecords(name, raw.get(name) ?? '', { comment: false }).map((fields) => fields.join(','));
  for (const [index, line] of lines.filter((text) => text.trim() !== '').entries()) {
    const at = line.indexOf('=');
    const id = line.slice(0, Math.max(0, at)).trim();
    if (!ID.test(id)) throw notAPair(name, index);
    yield [id, line.slice(at + 1)];
  }
}

function add(secrets: BuildSecret[], input: string, id: string, value: Uint8Array): void {
  if (secrets.some((known) => known.id === id)) {
    throw new EngineError('INPUT_INVALID', `Cannot read input '${input}': the id ${id} is given twice`, {
      hint: 'Give each secret an id of its own',
    });
  }
  if (value.length > MAX_BYTES) {
    throw new EngineError(
      'INPUT_INVALID',
      `Cannot use the secret ${id} of input '${input}': it has ${value.length} bytes`,
      {
        hint: `A build secret has at most ${MAX_BYTES} bytes`,
      },
    );
  }
  secrets.push({ id, value });
}

function fromEnvironment(name: string, env: Environment): Uint8Array {
  const value = env[name];
  if (value !== undefined) return Buffer.from(value);
  throw new EngineError(
    'INPUT_INVALID',
    `Cannot read input 'secret-envs': there is no variable ${name.slice(0, 100)}`,
    {
      hint: 'Write env: below the step, with that name',
    },
  );
}

async function fromFile(path: string, runner: RunnerContext): Promise<Uint8Array> {
  const real = await resolveInputPath('secret-files', path, runner);
  const file = await open(real).catch((error: unknown) => {
    throw new EngineError('PATH_NOT_FOUND', `Cannot read input 'secret-files': ${messageOf(error)}`, { cause: error });
  });
  try {
    const stat = await file.stat();
    // Not read to find out: a device or a FIFO would never end.
    if (!stat.isFile() || stat.size > MAX_BYTES) {
      throw new EngineError(
        'INPUT_INVALID',
        `Cannot read input 'secret-files': ${path} is no file of at most ${MAX_BYTES} bytes`,
      );
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function notAPair(name: string, index: number): EngineError {
  return new EngineError(
    'INPUT_INVALID',
    `Cannot read input '${name}': entry ${index + 1} is not of the form id=value`,
    {
      hint: 'Put a value of several lines in double quotes: "id=first line (line break) second line", with "" for a quote inside',
    },
  );
}

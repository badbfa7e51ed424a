import { linesOf } from '../build-run.ts';
import { secretValues } from '../secret-values.ts';
import { findSource } from '../workspace.ts';
import type { Mount } from '../../../engine/index.ts';
import type { Path } from '../place.ts';
import { parseEnvFile } from './env-file.ts';
import { textAt, texts, type Raw, type StructureContext } from './parse.ts';
import type { RunOptions } from './types.ts';

type RawOptions = NonNullable<Raw['containerRunOptions']>;

/** `containerRunOptions:`, with its variables and its `envFile` read; problems go to the context. */
export async function buildRunOptions(raw: RawOptions = {}, at: Path, context: StructureContext): Promise<RunOptions> {
  const borrowed = (raw.envVars ?? []).flatMap((name, index) => borrow(name, [...at, 'envVars', index], context));
  const envFile = textAt(context, [...at, 'envFile']);
  const fromFile = envFile === '' ? [] : await readEnvFile(envFile, [...at, 'envFile'], context);
  return {
    user: textAt(context, [...at, 'user']) || undefined,
    privileged: raw.privileged ?? false,
    tty: raw.allocateTty ?? false,
    env: [...fromFile, ...borrowed.map(([name, value]) => `${name}=${value}`)],
    capAdd: texts(raw.capabilities, [...at, 'capabilities'], context),
    capDrop: texts(raw.drop_capabilities, [...at, 'drop_capabilities'], context),
    mounts: (raw.bindMounts ?? []).flatMap((mount, index) => toMount(mount, [...at, 'bindMounts', index], context)),
    network: raw.network === '' ? undefined : raw.network,
    secrets: [...borrowed.flatMap(([, value]) => linesOf(value)), ...secretValues(fromFile)],
  };
}

function borrow(name: string, at: Path, context: StructureContext): readonly (readonly [string, string])[] {
  const value = context.lookup(name);
  if (value !== undefined && value !== '') return [[name, value]];
  const message = `there is no variable ${name} to take over`;
  context.problems.push({
    message,
    hint: `Set ${name} where the test is started: \`env:\` of the step`,
    place: context.place(at),
  });
  return [];
}

async function readEnvFile(file: string, at: Path, context: StructureContext): Promise<readonly string[]> {
  const read = async (): Promise<readonly string[]> =>
    parseEnvFile((await context.files.read(file)).toString('utf8'), file);
  return await context.attemptAsync(at, read, []);
}

/** Flags of a volume that change nothing for a folder that nobody shares. */
const IDLE: ReadonlySet<string> = new Set(['rw', 'z', 'Z', 'consistent', 'cached', 'delegated']);

function toMount(text: string, at: Path, context: StructureContext): readonly Mount[] {
  const [source = '', target = '', options = ''] = text.split(':');
  const words = options.split(',').filter((word) => word !== '' && !IDLE.has(word));
  const unknown = words.find((word) => word !== 'ro');
  if (unknown !== undefined) {
    context.problems.push({
      message: `a bind mount has no option \`${unknown}\` here`,
      hint: 'Leave it out; ro is there',
      place: context.place(at),
    });
    return [];
  }
  const found = context.attempt(at, () => findSource(source, context.files.folders), undefined);
  return found === undefined ? [] : [{ type: 'bind', source: found, target, readonly: words.includes('ro') }];
}

import { createReadStream, existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ProgressEvent } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { withSink } from '../file-sink.ts';
import { choice, single, text, texts, toggle } from '../flags.ts';
import { PLATFORM, requirePlatform } from '../of-platform.ts';
import { withRenderer } from '../progress/index.ts';
import { OperandsError } from '../usage-error.ts';
import { familiarName } from './images.ts';
import { parsePlatform } from '../values/platform.ts';

/** `berth save`. */
export const save = defineCommand({
  name: 'save',
  docs: 'Save images to a tar archive, on standard output or in a file',
  operands: 'IMAGE [IMAGE...]',
  flags: {
    format: choice('--format FORMAT', 'what docker load and OCI tools read, or OCI tools alone', [
      'docker-archive',
      'oci-archive',
    ]),
    output: text('-o, --output FILE', 'write to a file'),
    platform: PLATFORM,
  },
  run: async (context, { format, output, platform }, names) => {
    const engine = await context.engine();
    for (const name of names) await requirePlatform(engine, name, platform);
    await withSink(context, output, async (write) =>
      withBars(context, async (onEvent) =>
        engine.images.save(names, {
          write,
          format: format === 'oci-archive' ? 'oci' : 'docker',
          onEvent,
          signal: context.signal,
        }),
      ),
    );
    return 0;
  },
});

/** `berth load`. */
export const load = defineCommand({
  name: 'load',
  docs: 'Load images from a tar archive, plain or packed with gzip or zstd',
  operands: '',
  flags: {
    input: text('-i, --input FILE', 'read a file instead of standard input'),
    platform: single(
      '--platform PLATFORM',
      'load the image of an index that is for this os/architecture',
      parsePlatform,
    ),
    quiet: toggle('-q, --quiet', 'show no progress'),
  },
  run: async (context, { input, platform, quiet }) => {
    const source = sourceOf(context, input, 'berth load -i FILE');
    const engine = await context.engine();
    const loaded = await withBars({ ...context, quiet }, async (onEvent) =>
      engine.images.load(source, { platform, onEvent, signal: context.signal }),
    );
    for (const { id, names } of loaded) {
      if (names.length === 0) context.stdout.write(`Loaded image ID: ${id}\n`);
      for (const name of names) context.stdout.write(`Loaded image: ${familiarName(name)}\n`);
    }
    return 0;
  },
});

/** `berth export`. */
export const exportContainer = defineCommand({
  name: 'export',
  docs: "Write a container's file system as a tar archive",
  operands: 'CONTAINER',
  flags: { output: text('-o, --output FILE', 'write to a file') },
  run: async (context, { output }, [name = '']) => {
    const engine = await context.engine();
    await withSink(context, output, async (write) =>
      engine.containers.export(name, { write, signal: context.signal, onEvent: warnings(context) }),
    );
    return 0;
  },
});

/** `berth import`. */
export const importImage = defineCommand({
  name: 'import',
  docs: 'Make an image of the tar archive of a root file system',
  operands: 'FILE|- [NAME]',
  flags: {
    change: texts('-c, --change INSTRUCTION', 'apply a Dockerfile instruction to the configuration'),
    message: text('-m, --message TEXT', 'a comment for its history'),
    platform: single('--platform PLATFORM', 'what the files are for', parsePlatform),
  },
  run: async (context, { change, message, platform }, [file = '', name]) => {
    if (/^https?:\/\//i.test(file))
      throw new OperandsError(
        `Cannot import ${file}: URLs are not supported yet`,
        `curl -fL ${file} | berth import - NAME`,
      );
    const source = sourceOf(context, file, 'berth import FILE');
    const engine = await context.engine();
    const id = await engine.images.import(source, {
      name,
      changes: change,
      message,
      platform,
      onEvent: warnings(context),
      signal: context.signal,
    });
    context.stdout.write(`${id}\n`);
    return 0;
  },
});

/** `berth commit`. */
export const commit = defineCommand({
  name: 'commit',
  docs: 'Make an image of what a container has changed',
  operands: 'CONTAINER [NAME]',
  flags: {
    author: text('-a, --author TEXT', 'who made it'),
    change: texts('-c, --change INSTRUCTION', 'apply a Dockerfile instruction to the configuration'),
    message: text('-m, --message TEXT', 'a comment for its history'),
    noPause: toggle('--no-pause', 'let a running container go on meanwhile'),
    pause: toggle('-p, --pause', 'stop its processes meanwhile (default)', true),
  },
  run: async (context, { author, change, message, noPause, pause }, [container = '', name]) => {
    const engine = await context.engine();
    const id = await engine.containers.commit(container, {
      name,
      author,
      message,
      changes: change,
      pause: pause && !noPause,
      onEvent: warnings(context),
      signal: context.signal,
    });
    context.stdout.write(`${id}\n`);
    return 0;
  },
});

const LETTERS = { added: 'A', changed: 'C', deleted: 'D' } as const;

/** `berth diff`. */
export const diff = defineCommand({
  name: 'diff',
  docs: "List what a container has added (A), changed (C) and deleted (D) in its image's files",
  operands: 'CONTAINER',
  flags: {},
  run: async (context, _values, [name = '']) => {
    const engine = await context.engine();
    for (const { kind, path } of await engine.containers.changes(name, { signal: context.signal }))
      context.stdout.write(`${LETTERS[kind]} ${path}\n`);
    return 0;
  },
});

/** Bars on a terminal; elsewhere these commands say nothing but their result and what warns of it, as Docker's. */
async function withBars<T>(
  context: Context & { readonly quiet?: boolean | undefined },
  act: (onEvent: (event: ProgressEvent) => void) => Promise<T>,
): Promise<T> {
  if (context.stderr.isTTY && context.quiet !== true) return await withRenderer('tty', context, act);
  return await act(warnings(context));
}

function warnings({ stderr }: Context): (event: { readonly type: string; readonly message?: unknown }) => void {
  return ({ type, message }) => {
    if (type === 'warning') stderr.write(`WARN: ${String(message)}\n`);
  };
}

/** A file, or standard input for `-` and nothing. @throws {OperandsError} for what cannot be read, and a terminal */
function sourceOf({ cwd, stdin }: Context, file: string | undefined, usage: string): AsyncIterable<Uint8Array> {
  if (file === undefined || file === '-') {
    if (stdin.isTTY) throw new OperandsError('Cannot read the archive: standard input is a terminal', usage);
    return stdin as AsyncIterable<Uint8Array>;
  }
  const path = resolve(cwd, file);
  if (!existsSync(path)) throw new OperandsError(`Cannot read ${file}: there is no such file`);
  if (statSync(path).isDirectory()) throw new OperandsError(`Cannot read ${file}: it is a folder`);
  return createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>;
}

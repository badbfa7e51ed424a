import { isAbsolute, resolve } from 'node:path';
import type { CopySource, CopyTarget } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { maybe, toggle } from '../flags.ts';
import { humanSize } from '../units.ts';
import { OperandsError } from '../usage-error.ts';

/** `berth cp`: files between a container and this machine, or a tar on standard input or output. */
export const cp = defineCommand({
  name: 'cp',
  docs: 'Copy files between a container and this machine; - is a tar on standard input or output',
  operands: 'SOURCE DESTINATION',
  flags: {
    archive: toggle('-a, --archive', 'keep user and group'),
    followLink: toggle('-L, --follow-link', 'copy what a link of the source leads to'),
    quiet: maybe('-q, --quiet', 'do not say how much was copied (default true where standard output is no terminal)'),
  },
  run: async (context, { archive, followLink, quiet }, [from = '', to = '']) => {
    const [source, target] = [parseEnd(from, context.cwd), parseEnd(to, context.cwd)];
    checkEnds(source, target);
    const engine = await context.engine();
    const report = await engine.containers.copy(toSource(source, context), toTarget(target, context), {
      archive,
      follow: followLink,
      signal: context.signal,
      onEvent: (event) => {
        if (event.type === 'warning') context.stderr.write(`berth: ${event.message}\n`);
      },
    });
    const place = target.kind === 'container' ? to : target.kind === 'host' ? target.path : undefined;
    if (!(quiet ?? !context.stdout.isTTY) && place !== undefined)
      context.stderr.write(`Successfully copied ${humanSize(report.bytes)} to ${place}\n`);
    return 0;
  },
});

/** One side of a copy as it was typed. */
export type End =
  | { readonly kind: 'tar' }
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly container: string; readonly path: string };

/** `CONTAINER:PATH`, `-`, or a path here: one that starts with `/` or `.`, or has no colon, as Docker reads it. */
export function parseEnd(word: string, cwd: string): End {
  if (word === '-') return { kind: 'tar' };
  const at = word.indexOf(':');
  if (isAbsolute(word) || word.startsWith('.') || at < 0) return { kind: 'host', path: absolute(word, cwd) };
  const path = word.slice(at + 1);
  if (path === '') return { kind: 'container', container: word.slice(0, at), path };
  // Docker takes a path without a slash from the container's root.
  return { kind: 'container', container: word.slice(0, at), path: path.startsWith('/') ? path : `/${path}` };
}

/** Absolute, with the trailing `/` and `/.` that mean something to a copy. */
function absolute(word: string, cwd: string): string {
  const full = resolve(cwd, word);
  if (/(^|\/)\.$/.test(word)) return `${full}/.`;
  return word.endsWith('/') && full !== '/' ? `${full}/` : full;
}

function checkEnds(source: End, target: End): void {
  if (source.kind === 'tar' && target.kind === 'tar')
    throw new OperandsError('Cannot copy from - to -: one of them must be a container');
  for (const end of [source, target]) {
    if (end.kind === 'container' && (end.container === '' || end.path === '')) {
      throw new OperandsError(
        'Cannot copy: source and destination can not be empty',
        'berth cp CONTAINER:PATH DESTINATION',
      );
    }
  }
  if (source.kind !== 'container' && target.kind !== 'container') {
    throw new OperandsError(
      'Cannot copy: must specify at least one container source',
      'berth cp CONTAINER:PATH DESTINATION',
    );
  }
}

function toSource(end: End, { stdin }: Context): CopySource {
  return end.kind === 'tar' ? { kind: 'tar', data: stdin } : end;
}

function toTarget(end: End, { stdout }: Context): CopyTarget {
  return end.kind === 'tar' ? { kind: 'tar', onData: async (chunk) => await stdout.send(chunk) } : end;
}

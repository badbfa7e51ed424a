import type { OnEvent } from '../../../engine/index.ts';
import type { Context } from '../context.ts';
import { createPlain } from './plain.ts';
import { createRawJson } from './rawjson.ts';
import { createTty } from './tty.ts';

/** Shows events until `finish`. */
export interface Renderer {
  readonly onEvent: OnEvent;
  /** Prints what is still held back, and lets go of the terminal. */
  readonly finish: () => void;
}

export const PROGRESS = ['auto', 'plain', 'tty', 'rawjson', 'quiet'] as const;
export type ProgressName = (typeof PROGRESS)[number];

/** Where and how events are shown. */
export interface RendererOptions extends Pick<Context, 'stderr' | 'plain'> {
  /** End with a timeline where the work was long; default true, on a terminal only. */
  readonly timeline?: boolean;
}

/** The renderer of that name on standard error; `auto` is bars on a terminal and plain lines elsewhere. */
export function createRenderer(name: ProgressName, { stderr, plain, timeline = true }: RendererOptions): Renderer {
  if (name === 'quiet') return { onEvent: () => undefined, finish: () => undefined };
  if (name === 'rawjson') return createRawJson(stderr);
  const bars = name === 'tty' || (name === 'auto' && stderr.isTTY);
  return bars ? createTty(stderr, { color: !plain, timeline }) : createPlain(stderr);
}

/** Runs `act` with a renderer, which is finished before the result or the error goes on. */
export async function withRenderer<T>(
  name: ProgressName,
  options: RendererOptions,
  act: (onEvent: OnEvent) => Promise<T>,
): Promise<T> {
  const renderer = createRenderer(name, options);
  try {
    return await act(renderer.onEvent);
  } finally {
    renderer.finish();
  }
}

import type { ContainerConfig, Limits, OnEvent } from '../../../engine/index.ts';
import type { SmokeEngine, SmokeImage } from '../container.ts';
import type { Check } from '../report.ts';
import type { Placed } from '../spec.ts';
import type { Mask } from '../text.ts';
import { expand, variablesOf } from './expand.ts';
import type { StructureFile, Variable } from './types.ts';

/** What structure tests are run with. */
export interface StructureContext {
  readonly engine: SmokeEngine;
  readonly image: SmokeImage;
  readonly mask: Mask;
  /** Network and limits of the smoke test, which command tests have too. */
  readonly network: 'none' | 'egress';
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** The variables of an image, with those of the file on top, each seeing those before it. */
export function environmentOf({ Env = [] }: ContainerConfig, { globalEnv }: StructureFile): Map<string, string> {
  return withVariables(variablesOf(Env), globalEnv);
}

/** `variables` with more of them on top; a value may name what is there already. */
export function withVariables(variables: ReadonlyMap<string, string>, more: readonly Variable[]): Map<string, string> {
  return more.reduce((known, { key, value }) => known.set(key, expand(value, known)), new Map(variables));
}

/** The row of a test: what is wrong with it, or that nothing is. */
export function rowOf(
  name: string,
  problems: readonly string[],
  {
    mask,
    location,
    summary,
    milliseconds,
  }: Placed & {
    readonly mask: Mask;
    /** Of one that passed. */
    readonly summary?: string | undefined;
    readonly milliseconds?: number | undefined;
  },
): Check {
  const told = problems.slice(0, MAX_PROBLEMS).map(mask);
  const base = { name: mask(name), milliseconds, location };
  if (told.length === 0)
    return { ...base, status: 'passed', summary: summary === undefined ? undefined : mask(summary) };
  return { ...base, status: 'failed', reason: 'assertion', summary: told[0], failure: { problems: told } };
}

const MAX_PROBLEMS = 20;

/** Foreign text in a sentence: its beginning, in quotes. A secret that is cut or escaped is found by no mask, so it is masked before. */
export function quote(text: string, mask: Mask): string {
  return JSON.stringify(cut(text, 300, mask));
}

/** The beginning of a text, masked as a whole before it is cut. */
export function cut(text: string, length: number, mask: Mask): string {
  const masked = mask(text);
  return masked.length > length ? `${masked.slice(0, length)}…` : masked;
}

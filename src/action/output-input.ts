import { isAbsolute } from 'node:path';
import { EngineError, type BuildOutput } from '../../engine/index.ts';
import { parseOutput, type ParsedOutput } from '../cli/values/output.ts';
import { parseList } from './csv.ts';
import type { RunnerContext } from './environment.ts';
import { named } from './named.ts';
import { resolveNewPath } from './paths.ts';

/** What input `outputs` asks for. */
export interface OutputInputs {
  /** Files and folders, written when the image is built; and how the image itself is packed. */
  readonly outputs: readonly BuildOutput[];
  /** The image is pushed once it has passed. */
  readonly push: boolean;
  /** It is handed to a Docker daemon once it has passed. */
  readonly load: boolean;
  readonly names: readonly string[];
}

const HINT = 'Use type=image, registry, docker, oci, tar or local; what is not to be kept needs no output';

/**
 * docker/build-push-action's `outputs`, one a line. `type=registry` and `push=true` mean the input `push`, `type=docker` without a file the
 * input `load`: an image leaves only when it has passed.
 *
 * @throws `INPUT_INVALID` naming the attribute; `PATH_OUTSIDE`
 */
export function parseOutputs(text: string, runner: Pick<RunnerContext, 'workspace' | 'temp'>): OutputInputs {
  const all = parseList('outputs', text, { ignoreComma: true }).map((line) =>
    named('outputs', () => parseOutput(line, runner.workspace), HINT),
  );
  for (const output of all) checkPlace(output, runner);
  const images = all.filter(isImage);
  if (images.length > 1)
    throw invalid('an image is pushed in one form', 'Delete one of the lines, and give several tags');
  const loads = all.filter(isLoad);
  return {
    outputs: all.filter((output) => !isLoad(output)).map(withoutPush),
    push: images.some(({ type, push }) => type === 'registry' || push === true),
    load: loads.length > 0,
    names: [...images, ...loads].flatMap(({ names = [] }) => names),
  };
}

function isImage({ type }: BuildOutput): boolean {
  return type === 'image' || type === 'registry';
}

function isLoad({ type, dest }: BuildOutput): boolean {
  return type === 'docker' && dest === undefined;
}

/** Pushing is the last step of all, and not the build's. */
function withoutPush({ toStdout: _, push: __, ...output }: ParsedOutput): BuildOutput {
  return output.type === 'registry' ? { ...output, type: 'image' } : output;
}

function checkPlace(output: ParsedOutput, runner: Pick<RunnerContext, 'workspace' | 'temp'>): void {
  if (output.toStdout) throw invalid('the log takes no archive', 'Give dest=FILE');
  if (output.dest !== undefined && isAbsolute(output.dest)) resolveNewPath('outputs', output.dest, runner);
}

function invalid(state: string, hint: string): EngineError {
  return new EngineError('INPUT_INVALID', `Cannot use input 'outputs': ${state}`, { hint });
}

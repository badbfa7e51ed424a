import { EngineError } from '../../engine/index.ts';
import type { Place } from './place.ts';

/** One thing that is wrong in a spec. */
export interface SpecProblem {
  /** Sentence without a place: ``unknown key `pth` ``. */
  readonly message: string;
  readonly hint?: string | undefined;
  readonly place: Place;
}

/** Everything that is wrong in a spec; `location` is the first problem's, the hint the first that one has. */
export class SmokeSpecError extends EngineError {
  readonly problems: readonly SpecProblem[];

  /** @param problems at least one */
  constructor(source: string, problems: readonly SpecProblem[], code = 'SMOKE_SPEC_INVALID') {
    const [first] = problems;
    const hint = problems.find((problem) => problem.hint !== undefined)?.hint;
    super(code, sentence(source, problems), { hint, location: first?.place });
    this.name = 'SmokeSpecError';
    this.problems = problems;
  }
}

function sentence(source: string, problems: readonly SpecProblem[]): string {
  const lines = problems.map(({ message, place }) => `${place.file}:${place.startLine}:${place.column}: ${message}`);
  if (lines.length === 1) return `Cannot use the smoke test: ${lines[0] ?? ''}`;
  return `Cannot use the smoke test: ${source} has ${lines.length} problems\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

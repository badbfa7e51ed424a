import { escapeControl } from './base/escape.ts';
import type { WarningEvent } from './base/progress.ts';
import { asJsonList } from './base/single-quotes.ts';
import {
  DockerfileError,
  locate,
  parseCheckOptions,
  ruleOf,
  selectFindings,
  urlOf,
  type Ast,
  type CheckOptions,
  type DockerfileWarning,
} from './dockerfile/index.ts';

/** The build argument that goes before `# check=`. */
const ARGUMENT = 'BUILDKIT_DOCKERFILE_CHECK';

/**
 * What the file or the user wants to hear of the checks.
 *
 * @throws DockerfileError for options that are none, naming the line of `# check=`
 */
export function checkOptionsOf(ast: Ast, buildArgs: Readonly<Record<string, string>> = {}): CheckOptions {
  const given = Object.hasOwn(buildArgs, ARGUMENT) ? buildArgs[ARGUMENT] : undefined;
  const line = given === undefined ? lineOf(ast, 'check') : 0;
  return locate(ast, { startLine: line, endLine: line }, () => parseCheckOptions(given ?? ast.directives.check));
}

/** Where a directive stands, counted from 1; 0 where it does not. */
function lineOf({ text }: Ast, directive: keyof Ast['directives']): number {
  return text.split('\n').findIndex((line) => new RegExp(`^\\s*#\\s*${directive}\\s*=`, 'i').test(line)) + 1;
}

/** What the checks have found and the user wants to hear, by line. */
export function shownFindings(ast: Ast, options: CheckOptions): readonly DockerfileWarning[] {
  return selectFindings(ast.findings.list, options, ast);
}

/** A finding as the event that the progress and the annotations show. */
export function warningOf(ast: Pick<Ast, 'file' | 'instructions'>, finding: DockerfileWarning): WarningEvent {
  const { rule, message, startLine, endLine } = finding;
  const url = urlOf(ruleOf(rule) ?? { description: '', message: '' });
  return {
    type: 'warning',
    rule,
    message: `${rule}: ${message}`,
    hint: [adviceOn(ast, finding), url].filter(Boolean).join('; ') || undefined,
    location: { file: ast.file, startLine, endLine },
  };
}

/**
 * `# syntax=` names a program that reads the file; the one for Dockerfiles is built in, in all its versions and from every mirror. Any other
 * one would read the file in a way of its own, which is said.
 */
export function foreignFrontend(ast: Ast): WarningEvent | undefined {
  const { syntax } = ast.directives;
  // Words behind the name are for that program.
  const name = syntax
    ?.trim()
    .split(/\s+/)[0]
    ?.replace(/@.*$/, '')
    .replace(/:[^/]*$/, '');
  if (name === undefined || /(?:^|\/)dockerfile(?:-upstream)?$/.test(name)) return undefined;
  const line = lineOf(ast, 'syntax');
  return {
    type: 'warning',
    message: `The frontend ${escapeControl(name)} is not run: ${ast.file} is built as a Dockerfile`,
    hint: 'Remove the line # syntax=, or write # syntax=docker/dockerfile:1',
    location: { file: ast.file, startLine: line, endLine: line },
  };
}

/** Whoever writes single quotes does not see what the rule means. */
function adviceOn({ instructions }: Pick<Ast, 'instructions'>, { rule, startLine }: DockerfileWarning): string {
  const found = rule === 'JSONArgsRecommended' && instructions.find((node) => node.startLine === startLine);
  const list = found ? asJsonList(found.args.join(' ')) : undefined;
  return found && list ? `Single quotes are no JSON: write ${found.value} ${list}` : '';
}

/**
 * Ends the build when `error=true` is said and something was found.
 *
 * @throws DockerfileError `DOCKERFILE_CHECK_FAILED` at the first finding
 */
export function refuseFindings(ast: Ast, options: CheckOptions, findings: readonly DockerfileWarning[]): void {
  const [first] = findings;
  if (!options.isError || !first) return;
  const rules = [...new Set(findings.map(({ rule }) => rule))].sort().join(', ');
  const message = `Cannot build ${ast.file}: the checks found ${rules}, and check=error=true is set`;
  const hint = `Mend the lines, or skip a rule: # check=skip=${first.rule};error=true`;
  throw new DockerfileError('DOCKERFILE_CHECK_FAILED', message, ast, first, { hint });
}

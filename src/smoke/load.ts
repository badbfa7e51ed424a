import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError, isInside, type ContainerConfig } from '../../engine/index.ts';
import { createBuildContext } from './build-context.ts';
import { buildSpec } from './build-spec.ts';
import { createSpecFiles } from './files.ts';
import { parsePlacedYaml } from './place.ts';
import { detectPreset, GENERIC } from './presets.ts';
import { SmokeSpecError } from './problem.ts';
import type { RawSpec } from './raw.ts';
import type { SmokeSpec, SmokeTest } from './spec.ts';
import { findProblems } from './validate.ts';
import { findInWorkspace } from './workspace.ts';

/** What a smoke test is read with. */
export interface LoadOptions {
  readonly workingDirectory: string;
  /** Variables of the environment, for `env-from`; default none. */
  readonly lookup?: ((name: string) => string | undefined) | undefined;
}

/** Bytes that a spec may have. */
const LIMIT = 1 << 20;

/**
 * What the input `smoke-test` says: `auto`, `structure-only`, `off`, the path of a file, or the YAML itself (smoke-test.md 4.2). Everything that can be
 * wrong in it is found here, before anything is built.
 *
 * @throws {SmokeSpecError} with every problem and its place; `SMOKE_SPEC_NOT_FOUND` when it is neither a file nor a mapping
 */
export async function loadSmokeTest(value: string, options: LoadOptions): Promise<SmokeTest> {
  const text = value.trim();
  if (text === '' || text === 'auto') return { kind: 'auto' };
  // YAML 1.1 reads `off` as false, and so may a workflow.
  if (text === 'off' || text === 'false') return { kind: 'off' };
  if (text === 'structure-only') return { kind: 'structure' };
  const path = resolve(options.workingDirectory, text);
  const found = text.includes('\n') ? undefined : await stat(path).catch(() => undefined);
  if (found !== undefined) {
    if (!found.isFile() || found.size > LIMIT)
      throw notASpec(text, found.isFile() ? 'it is larger than 1 MiB' : 'it is no file');
    const folders = [dirname(path), options.workingDirectory];
    const content = await readFile(realPathOf(path, text, options.workingDirectory), 'utf8');
    return { kind: 'spec', spec: await parseSpec(content, text, folders, options.lookup) };
  }
  if (!/^[{\n]|:(?:\s|$)/m.test(text)) throw notASpec(text, 'there is no such file, and it is no YAML mapping');
  return { kind: 'spec', spec: await parseSpec(text, 'smoke-test', [options.workingDirectory], options.lookup) };
}

/**
 * Parses the text of a spec.
 *
 * @param source what to call it in messages
 * @param folders where the files that it names are looked for, in this order
 * @throws {SmokeSpecError}
 */
export async function parseSpec(
  text: string,
  source: string,
  folders: readonly string[],
  lookup?: LoadOptions['lookup'],
): Promise<SmokeSpec> {
  const yaml = parsePlacedYaml(text, source);
  if (yaml.problems.length > 0) throw new SmokeSpecError(source, yaml.problems);
  const problems = findProblems(yaml);
  if (problems.length > 0) throw new SmokeSpecError(source, problems);
  const files = createSpecFiles(folders);
  const context = createBuildContext(yaml, files, lookup);
  // The schema let it through, so it has this shape.
  const spec = await buildSpec(yaml.value as RawSpec, source, context);
  if (context.problems.length > 0) throw new SmokeSpecError(source, context.problems);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([text, ...files.seen()]))
    .digest('hex');
  return { ...spec, fingerprint };
}

/** The spec of `auto`: the readiness of the preset that the image shows to be its own, and no payload, since none is ever guessed. */
export async function autoSpec(config: ContainerConfig): Promise<SmokeSpec> {
  const { name } = detectPreset(config) ?? GENERIC;
  return await parseSpec(`preset: ${name}`, 'smoke-test: auto', []);
}

/** A spec of the workspace is no link out of it; one that the caller names elsewhere is none out of its folder. */
function realPathOf(path: string, text: string, workspace: string): string {
  const roots = isInside(resolve(workspace), path) ? [workspace] : [dirname(path)];
  try {
    return findInWorkspace(path, roots) ?? path;
  } catch {
    throw notASpec(text, 'it is a link that leads out of the workspace');
  }
}

function notASpec(text: string, state: string): EngineError {
  return new EngineError(
    'SMOKE_SPEC_NOT_FOUND',
    `Cannot use ${JSON.stringify(text.slice(0, 200))} as smoke test: ${state}`,
    {
      hint: 'Give the path of a file, YAML such as `{ preset: fastapi, payload: tests/row.json }`, `auto`, `structure-only` or `off`',
    },
  );
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isEngineError } from '../../engine/index.ts';
import { BASE_CACHE, ensurePythonBase, pushBusybox } from '../helpers/base-images.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { openTestEngine, type TestEngine } from '../helpers/engine.ts';
import { describeVectors, readVectors } from '../helpers/vectors.ts';
import { differences, writeContext, type ConformanceCase, type ConformanceTable } from './support/conformance.ts';
import { OWN, type OwnCase } from './support/conformance-own.ts';
import { serve, type Served } from './support/conformance-served.ts';
import { KEPT } from './support/conformance-kept.ts';
import { ENDS_NEWEST, NEWEST } from './support/conformance-newest.ts';
import { IS_NEWEST, NO_REFERENCE, startReference, type Reference } from './support/conformance-reference.ts';
import { createImageReader, type ImageTree } from './support/image-tree.ts';

const reason = NO_REFERENCE ?? NO_CONTAINERS;
const suite = reason === undefined ? describeVectors : describeSkipped;

function describeSkipped(name: string): void {
  describe(`vectors of ${name}`, () => test.skip(String(reason), () => undefined));
}

/** What there is so far, also of a run that is cut short. */
const REPORT = fileURLToPath(new URL('../../build/conformance.txt', import.meta.url));

/** What came of a case: `equal`, or what differs. */
type Outcome = readonly string[];

suite('conformance-dev', () => {
  const table = readVectors<ConformanceTable>('conformance-dev/cases.json');
  const work = mkdtempSync('/var/tmp/berth-conformance-');
  const report = new Map<string, Outcome>();
  let reference: Reference;
  let registry: DockerRegistry;
  let served: Served;
  let it: TestEngine;
  let readImage: (repository: string, reference: string) => Promise<ImageTree>;

  beforeAll(async () => {
    mkdirSync(dirname(REPORT), { recursive: true });
    registry = await startDockerRegistry();
    const origin = `http://${registry.address}`;
    await pushBusybox(origin);
    await ensurePythonBase({ registry: origin, cache: BASE_CACHE });
    readImage = createImageReader(origin);
    [reference, it, served] = await Promise.all([startReference(), openTestEngine(), serve()]);
  });

  afterAll(async () => {
    await Promise.all([reference.stop(), it.close(), served.close()]);
    await registry.close();
    rmSync(work, { recursive: true, force: true });
    console.log(reportOf(report, reference.name));
  });

  const own = IS_NEWEST ? [...OWN.filter(({ id }) => !ENDS_NEWEST.includes(id)), ...NEWEST] : OWN;
  test.each<ConformanceCase | OwnCase>([...table.cases, ...own])('$id', async (row) => {
    const outcome = await outcomeOf(row);
    report.set(row.id, outcome);
    writeFileSync(REPORT, `${reportOf(report, reference.name)}\n`);
    // What is refused by name is not done yet; the report says so.
    if (!isRefused(outcome)) expect(outcome).toEqual(KEPT[row.id]?.outcome ?? ['equal']);
  });

  async function outcomeOf(row: ConformanceCase | OwnCase): Promise<Outcome> {
    // A folder of its own: BuildKit takes files of the same path, size and time from the context before.
    const context = mkdtempSync(join(work, 'context-'));
    writeContext(context, row, table.fixed_mtime);
    if ('prepare' in row) execFileSync('bash', ['-ec', row.prepare], { cwd: context });
    const given = withOurBases(row.dockerfile, registry.address);
    const text = 'prepare' in row ? served.fill(given) : given;
    const line = row.must_fail_at_line;
    if (line === undefined) return await compare(row, context, text);
    const failed = await buildBoth(row, context, text);
    const lines = text.split('\n').slice(0, line - 1);
    const whole = await buildBoth(row, context, `${lines.join('\n')}\n`);
    // Docker asks for all sources at once and names whichever is missing first.
    const fail = failed.ours === `fails at line ${line}` && failed.theirs.startsWith('fails');
    if (!fail) return [`ours ${failed.ours}`, `Docker's ${failed.theirs}`];
    // What is left may be nothing to build at all.
    return whole.ours === whole.theirs || lines.length < 2
      ? ['equal']
      : [`ours ${whole.ours}`, `Docker's ${whole.theirs}`];
  }

  async function compare(row: ConformanceCase, context: string, text: string): Promise<Outcome> {
    const built = await buildBoth(row, context, text);
    if (built.ours !== 'builds' || built.theirs !== 'builds') {
      if (isMissingSource(text, built)) return ['equal'];
      return built.ours === built.theirs ? ['equal'] : [`ours ${built.ours}`, `Docker's ${built.theirs}`];
    }
    const [ours, theirs] = [await readImage('case/ours', 'latest'), await readImage('case/theirs', 'latest')];
    const found = differences(ours, theirs, [...table.fs_skip_always, ...row.fs_skip]);
    return found.length === 0 ? ['equal'] : found;
  }

  async function buildBoth(row: ConformanceCase, context: string, text: string): Promise<Built> {
    const file = join(context, row.dockerfile_path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    const buildArgs = Object.fromEntries(
      Object.entries(row.build_args ?? {}).map(([name, value]) => [name, withOurBases(value, registry.address)]),
    );
    const [ours, theirs] = await Promise.all([
      buildOurs(context, file, buildArgs),
      buildTheirs(context, file, buildArgs),
    ]);
    return { ours, theirs };
  }

  async function buildOurs(context: string, file: string, buildArgs: Args): Promise<string> {
    const name = `${registry.address}/case/ours:latest`;
    try {
      await it.engine.build({ context, file, buildArgs, tags: [name] });
      await it.engine.push(name, name);
      return 'builds';
    } catch (error) {
      if (!isEngineError(error)) throw error;
      if (error.code.startsWith('UNSUPPORTED_')) return `refuses by name: ${error.message}`;
      return error.location ? `fails at line ${error.location.startLine}` : `fails: ${error.message}`;
    }
  }

  async function buildTheirs(context: string, file: string, buildArgs: Args): Promise<string> {
    const name = `${registry.address}/case/theirs:latest`;
    const built = await reference.build({ context, file, buildArgs, name });
    return built.code === 0 ? 'builds' : failureOf(built.stderr);
  }
});

interface Built {
  readonly ours: string;
  readonly theirs: string;
}

type Args = Readonly<Record<string, string>>;

/** Both name a COPY whose source is not there: Docker asks for all sources at once and names whichever is missing first. */
function isMissingSource(text: string, { ours, theirs }: Built): boolean {
  const lines = text.split('\n');
  const isCopy = (said: string): boolean => /^(?:COPY|ADD)\s/i.test(lines[Number(/ (\d+)$/.exec(said)?.[1]) - 1] ?? '');
  return isCopy(ours) && isCopy(theirs);
}

/**
 * Base images by names of the test's registry: a busybox for busybox and alpine, Debian with Python for the others. The frontend of
 * `# syntax=` is the one that is built in.
 */
function withOurBases(text: string, address: string): string {
  return text
    .replace(/^#\s*syntax=.*$/im, '#')
    .replace(/\bmirror\.gcr\.io\/(?:busybox|alpine)(?:@sha256:[0-9a-f]+)?/g, `${address}/library/busybox`)
    .replace(/\bquay\.io\/libpod\/busybox(?:\$\{[^}]*\}|@sha256:[0-9a-f]+)?/g, `${address}/library/busybox`)
    .replace(/\bquay\.io\/(?:libpod\/centos:7|fedora\/python-311:latest)/g, `${address}/library/python:3.11-slim`);
}

/** The line that Docker marks, else its last words. */
function failureOf(stderr: string): string {
  const line = /^(?:Dockerfile\S*|\S+):(\d+)$/m.exec(stderr)?.[1] ?? /parse error on line (\d+)/.exec(stderr)?.[1];
  return line === undefined ? `fails: ${stderr.trim().split('\n').at(-1) ?? ''}` : `fails at line ${line}`;
}

function isRefused([first = '']: Outcome): boolean {
  return first.startsWith('ours refuses by name');
}

function reportOf(report: ReadonlyMap<string, Outcome>, name: string): string {
  const equal = [...report.values()].filter(([first]) => first === 'equal').length;
  const refused = [...report.values()].filter(isRefused).length;
  const others = [...report].filter(([, [first]]) => first !== 'equal');
  const lines = others.map(([id, outcome]) => {
    const why = KEPT[id]?.reason;
    return [`- ${id}${why === undefined ? '' : ` (kept: ${why})`}`, ...outcome.map((line) => `    ${line}`)].join('\n');
  });
  return [
    `Conformance with ${name}: ${report.size} cases, ${equal} equal, ${refused} refused by us, ${others.length - refused} different`,
    ...lines,
  ].join('\n');
}

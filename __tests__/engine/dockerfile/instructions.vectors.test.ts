import { expect, test } from '@jest/globals';
import type { AstNode } from '../../../engine/dockerfile/ast.ts';
import { DockerfileError, SyntaxMistake } from '../../../engine/dockerfile/errors.ts';
import type { Instruction, SourcesAndDest, Stage, Stages } from '../../../engine/dockerfile/instruction.ts';
import { readDevice } from '../../../engine/dockerfile/instructions/device.ts';
import { parseInterval } from '../../../engine/dockerfile/instructions/duration.ts';
import { readFlags } from '../../../engine/dockerfile/instructions/flags.ts';
import { readFrom } from '../../../engine/dockerfile/instructions/from.ts';
import { readInstruction } from '../../../engine/dockerfile/instructions/index.ts';
import { parseMount, type Mount } from '../../../engine/dockerfile/instructions/mount.ts';
import { commandLine } from '../../../engine/dockerfile/instructions/request.ts';
import { parse } from '../../../engine/dockerfile/parse.ts';
import { parseStages } from '../../../engine/dockerfile/stages.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

interface LineCase {
  readonly input: string;
  readonly result?: unknown;
  readonly phase?: string;
  readonly error_class?: string;
}

const file = 'Dockerfile';
/** Rules that the source applies after this step, and one that it has off. */
const LATER = [
  'ConsistentInstructionCasing',
  'DuplicateStageName',
  'InvalidDefinitionDescription',
  'ReservedStageName',
];

describeVectors('instructions', () => {
  const lines = readVectors<{ cases: LineCase[] }>('instructions/lines.json');
  const moreLines = readVectors<{ cases: LineCase[] }>('instructions/more-lines.json');
  test.each([...lines.cases, ...moreLines.cases])('$input', ({ input, result, error_class }) => {
    if (result !== undefined) expect(viewOfLine(input)).toEqual(result);
    else expect(mistakeOf(() => viewOfLine(input))).toBe(error_class);
  });

  interface FileCase {
    readonly dockerfile: string;
    readonly stages?: readonly unknown[];
    readonly meta_args?: readonly unknown[];
    readonly error_class?: string;
    readonly error_lines?: readonly number[];
    readonly warnings?: readonly { readonly rule: string; readonly lines: readonly number[] }[];
  }
  const files = readVectors<{ cases: FileCase[] }>('instructions/files.json');
  const moreFiles = readVectors<{ cases: FileCase[] }>('instructions/more-files.json');
  test.each([...files.cases, ...moreFiles.cases])('$dockerfile', (row) => {
    if (!row.stages) {
      const act = (): Stages => parseStages(parse(row.dockerfile, { file }));
      expect(mistakeOf(act)).toBe(row.error_class);
      expect(lineOf(act)).toBe(row.error_lines?.[0]);
      return;
    }
    const stages = parseStages(parse(row.dockerfile, { file }));
    expect(stages.globalArgs.map((arg) => view(arg))).toEqual(row.meta_args);
    expect(stages.stages.map(viewOfStage)).toEqual(row.stages.map(withoutErrorText));
    const warnings = stages.ast.findings.list
      .filter(({ rule }) => !LATER.includes(rule))
      .map(({ rule, startLine }) => ({ rule, lines: [startLine] }));
    expect(warnings).toEqual((row.warnings ?? []).map(({ rule, lines: at }) => ({ rule, lines: at })));
  });

  interface PartCases {
    readonly nodes: readonly { instruction: string; args: string[]; result?: unknown; error_class?: string }[];
    readonly intervals: readonly { flag: string; input: string; ns?: number }[];
    readonly flags: readonly {
      defined: { name: string; type: 'string' | 'bool'; default: string | boolean }[];
      args: string[];
      values?: Record<string, string | boolean>;
      used?: string[];
      error_class?: string;
    }[];
    readonly devices: readonly { input: string; name?: string; required?: boolean; error_class?: string }[];
    readonly json_arguments: readonly { args: string[]; json_form: boolean; expected: string[] }[];
  }
  const parts = readVectors<PartCases>('instructions/parts.json');
  test.each(parts.nodes)('node $instruction $args', ({ instruction, args, result, error_class }) => {
    const act = (): unknown => view(readInstruction(node(instruction, args)));
    if (result !== undefined) expect(act()).toEqual(result);
    else expect(mistakeOf(act)).toBe(error_class);
  });
  test.each(parts.intervals)('interval $input', ({ flag, input, ns }) => {
    if (ns !== undefined) expect(parseInterval(flag, input)).toBe(ns);
    else expect(mistakeOf(() => parseInterval(flag, input))).toBe('bad-value');
  });
  test.each(parts.flags)('flags $args', ({ defined, args, values, used, error_class }) => {
    const types = Object.fromEntries(defined.map(({ name, type }) => [name, type]));
    if (!values) {
      expect(mistakeOf(() => readFlags(args, types))).toBe(error_class);
      return;
    }
    const flags = readFlags(args, types);
    const got = defined.map(({ name, type, default: fallback }) => [
      name,
      (type === 'bool' ? flags.bool(name) : flags.text(name)) ?? fallback,
    ]);
    expect(Object.fromEntries(got)).toEqual(values);
    expect(flags.used).toEqual(used);
  });
  test.each(parts.devices)('device $input', ({ input, name, required, error_class }) => {
    if (error_class !== undefined) expect(mistakeOf(() => readDevice(input))).toBe(error_class);
    else expect(readDevice(input)).toEqual({ name, required });
  });
  test.each(parts.json_arguments)('command $args', ({ args, json_form, expected }) => {
    expect(commandLine({ args, json: json_form }).command).toEqual(expected);
  });
});

function viewOfLine(input: string): unknown {
  const [first] = parse(input, { file }).instructions;
  if (!first) throw new Error('the vector holds no instruction');
  if (first.value.toLowerCase() === 'from') {
    const { instructions: _, commands: __, ...stage } = viewOfStage(readFrom(first, 0));
    return stage;
  }
  return view(readInstruction(first));
}

function viewOfStage(stage: Stage): Record<string, unknown> {
  const { base, platform, name, doc } = stage;
  const commands = stage.instructions.map((instruction) => viewInStage(instruction));
  return filled({ instruction: 'from', base, platform, name, doc, commands });
}

/** Mounts are typed late: the vectors show a mistake in them in place of the instruction. */
function viewInStage(instruction: Instruction): unknown {
  const lines = [instruction.startLine, instruction.endLine];
  try {
    return { ...(view(instruction) as object), lines };
  } catch {
    return { phase: 'expand', lines };
  }
}

function withoutErrorText(stage: unknown): unknown {
  return JSON.parse(JSON.stringify(stage), (key, value: unknown) => (key === 'error' ? undefined : value));
}

function view(instruction: Instruction): unknown {
  return filled({ instruction: instruction.kind, ...fields(instruction) });
}

function fields(instruction: Instruction): Record<string, unknown> {
  switch (instruction.kind) {
    case 'add': {
      const { checksum, keepGitDir, unpack } = instruction;
      return { ...copyFields(instruction), checksum, keep_git_dir: keepGitDir, unpack };
    }
    case 'copy':
      return { ...copyFields(instruction), from: instruction.from, parents: instruction.parents || undefined };
    case 'arg':
      return { args: instruction.args.map(({ key, value, doc }) => filled({ key, value: value ?? null, doc })) };
    case 'env':
      return { env: pairs(instruction.env) };
    case 'label':
      return { labels: pairs(instruction.labels) };
    case 'cmd':
    case 'entrypoint':
      return { command: instruction.command, shell_form: instruction.shellForm };
    case 'expose':
      return { ports: instruction.ports };
    case 'healthcheck': {
      const { test: command, interval, timeout, startPeriod, startInterval, retries } = instruction.health;
      const times = {
        interval_ns: interval,
        timeout_ns: timeout,
        start_period_ns: startPeriod,
        start_interval_ns: startInterval,
      };
      return { health: filled({ test: command, ...times, retries }) };
    }
    case 'maintainer':
      return { maintainer: instruction.maintainer };
    case 'onbuild':
      return { expression: instruction.expression };
    case 'run':
      return {
        command: instruction.command,
        shell_form: instruction.shellForm,
        files: some(instruction.files),
        mounts: some(instruction.mounts.map((mount) => mountFields(parseMount(mount, (word) => word)))),
        network: instruction.network,
        security: instruction.security,
        devices: some(instruction.devices),
        flags_used: instruction.flagsUsed,
      };
    case 'shell':
      return { shell: instruction.shell };
    case 'stopsignal':
      return { signal: instruction.signal };
    case 'user':
      return { user: instruction.user };
    case 'volume':
      return { volumes: instruction.volumes };
    case 'workdir':
      return { path: instruction.path };
  }
}

function copyFields({
  sources,
  dest,
  inlineFiles,
  chown,
  chmod,
  link,
  exclude,
}: SourcesAndDest): Record<string, unknown> {
  return {
    sources,
    dest,
    inline_files: some(inlineFiles),
    chown,
    chmod,
    link: link || undefined,
    exclude: some(exclude),
  };
}

function mountFields({ mode, ...mount }: Mount): unknown {
  const octal = mode === undefined ? undefined : `0${mode.toString(8)}`;
  return filled({ ...mount, mode: octal, required: mount.required === true ? true : undefined });
}

function pairs(list: readonly { readonly key: string; readonly value: string; readonly noDelim: boolean }[]): unknown {
  return list.map(({ key, value, noDelim }) => filled({ key, value, no_delim: noDelim || undefined }));
}

function some(list: readonly unknown[]): readonly unknown[] | undefined {
  return list.length > 0 ? list : undefined;
}

/** Without what the vectors leave out. */
function filled(record: Record<string, unknown>): Record<string, unknown> {
  const isKept = ([key, value]: readonly [string, unknown]): boolean =>
    value !== undefined && !(value === '' && ['name', 'doc', 'platform'].includes(key));
  return Object.fromEntries(Object.entries(record).filter(isKept));
}

function node(value: string, args: readonly string[]): AstNode {
  return { value, original: value, startLine: 1, endLine: 1, flags: [], json: false, args, heredocs: [], comments: [] };
}

function mistakeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    const mistake = error instanceof DockerfileError ? error.cause : error;
    if (!(mistake instanceof SyntaxMistake)) throw error;
    return mistake.kind;
  }
}

function lineOf(act: () => unknown): number | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof DockerfileError ? error.range.startLine : undefined;
  }
}

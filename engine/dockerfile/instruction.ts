import type { AstNode, Ast } from './ast.ts';

/** A Dockerfile as typed stages. Words are as written: variables are expanded when the graph is made. */
export interface Stages {
  readonly ast: Ast;
  /** ARG lines before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
}

/** FROM and what follows it. */
export interface Stage extends Place {
  readonly index: number;
  /** Lower-cased name after AS; empty without one. */
  readonly name: string;
  readonly base: string;
  readonly platform?: string | undefined;
  /** The comment above FROM that starts with the stage's name. */
  readonly doc: string;
  readonly instructions: readonly Instruction[];
}

/** Where an instruction stands, and how it reads. */
export interface Place {
  readonly startLine: number;
  readonly endLine: number;
  /** The joined line. */
  readonly original: string;
}

export type Instruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction;

export type InstructionKind = Instruction['kind'];

/** What ADD and COPY share. */
export interface SourcesAndDest {
  readonly sources: readonly string[];
  readonly dest: string;
  readonly inlineFiles: readonly InlineFile[];
  readonly chown?: string | undefined;
  readonly chmod?: string | undefined;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

/** A here-document that becomes a file. */
export interface InlineFile {
  readonly path: string;
  readonly data: string;
  readonly expand: boolean;
}

export interface AddInstruction extends Place, SourcesAndDest {
  readonly kind: 'add';
  readonly checksum?: string | undefined;
  readonly keepGitDir?: boolean | undefined;
  readonly unpack?: boolean | undefined;
}

export interface CopyInstruction extends Place, SourcesAndDest {
  readonly kind: 'copy';
  readonly from?: string | undefined;
  readonly parents: boolean;
}

export interface ArgInstruction extends Place {
  readonly kind: 'arg';
  readonly args: readonly ArgPair[];
}

export interface ArgPair {
  readonly key: string;
  readonly value?: string | undefined;
  readonly doc: string;
}

/** `key=value` of ENV and LABEL. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The legacy form `ENV key value`. */
  readonly noDelim: boolean;
}

/** A command line: exec form as it is, shell form as one word that the shell gets. */
export interface CommandLine {
  readonly command: readonly string[];
  readonly shellForm: boolean;
}

export interface CmdInstruction extends Place, CommandLine {
  readonly kind: 'cmd';
}

export interface EntrypointInstruction extends Place, CommandLine {
  readonly kind: 'entrypoint';
}

export interface RunInstruction extends Place, CommandLine {
  readonly kind: 'run';
  readonly files: readonly ShellFile[];
  readonly mounts: readonly MountFlag[];
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly devices: readonly Device[];
  /** Names of the flags that were given, sorted. */
  readonly flagsUsed: readonly string[];
}

/** A here-document that the shell gets. */
export interface ShellFile {
  readonly name: string;
  readonly data: string;
  readonly chomp: boolean;
}

/** The value of a `--mount`, as comma-separated fields; {@link parseMount} types it once variables are known. */
export interface MountFlag {
  readonly raw: string;
  readonly fields: readonly string[];
}

/** `RUN --device=`: a CDI name. */
export interface Device {
  readonly name: string;
  readonly required: boolean;
}

export interface EnvInstruction extends Place {
  readonly kind: 'env';
  readonly env: readonly KeyValue[];
}

export interface LabelInstruction extends Place {
  readonly kind: 'label';
  readonly labels: readonly KeyValue[];
}

export interface ExposeInstruction extends Place {
  readonly kind: 'expose';
  /** Sorted, as written. */
  readonly ports: readonly string[];
}

export interface HealthcheckInstruction extends Place {
  readonly kind: 'healthcheck';
  readonly health: Health;
}

/** Times are nanoseconds; what is not set is inherited or the default of the one who runs it. */
export interface Health {
  readonly test: readonly string[];
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
  readonly startPeriod?: number | undefined;
  readonly startInterval?: number | undefined;
  readonly retries?: number | undefined;
}

export interface MaintainerInstruction extends Place {
  readonly kind: 'maintainer';
  readonly maintainer: string;
}

export interface OnbuildInstruction extends Place {
  readonly kind: 'onbuild';
  /** The trigger's text, with its here-documents. */
  readonly expression: string;
  readonly trigger: AstNode;
}

export interface ShellInstruction extends Place {
  readonly kind: 'shell';
  readonly shell: readonly string[];
}

export interface StopsignalInstruction extends Place {
  readonly kind: 'stopsignal';
  readonly signal: string;
}

export interface UserInstruction extends Place {
  readonly kind: 'user';
  readonly user: string;
}

export interface VolumeInstruction extends Place {
  readonly kind: 'volume';
  readonly volumes: readonly string[];
}

export interface WorkdirInstruction extends Place {
  readonly kind: 'workdir';
  readonly path: string;
}

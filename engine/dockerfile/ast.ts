import type { Findings } from './lint/findings.ts';

/** A parsed Dockerfile: dumb syntax with line ranges. Lines count from 1. Source: spec/engine.md 1a; BuildKit's parser. */
export interface Ast {
  /** Name of the file, for messages. */
  readonly file: string;
  /** The text without byte order mark, for excerpts. */
  readonly text: string;
  readonly directives: Directives;
  readonly instructions: readonly AstNode[];
  /** First and last line that an instruction stands on. */
  readonly startLine: number;
  readonly endLine: number;
  /** What the checks have found, and will find in later steps. */
  readonly findings: Findings;
}

/** What stands in `# key=value` lines before anything else. */
export interface Directives {
  /** `# syntax=`: accepted; the frontend is built in. */
  readonly syntax?: string | undefined;
  /** `# escape=`: the character that escapes and continues lines. */
  readonly escape: Escape;
  /** `# check=`: options of the linter, as written. */
  readonly check?: string | undefined;
}

export type Escape = '\\' | '`';

/** One instruction, its continuation lines joined. */
export interface AstNode {
  /** The instruction's word as written. */
  readonly value: string;
  /** The joined line. */
  readonly original: string;
  readonly startLine: number;
  readonly endLine: number;
  /** `--name=value` words before the arguments, quotes removed. */
  readonly flags: readonly string[];
  /** Arguments in the JSON (exec) form. */
  readonly json: boolean;
  /** Words of the argument; for ENV and LABEL triples of name, value and delimiter (`=`, or empty in the legacy form). */
  readonly args: readonly string[];
  /** What ONBUILD holds. */
  readonly nested?: AstNode | undefined;
  readonly heredocs: readonly Heredoc[];
  /** Comment lines just above, without the mark. */
  readonly comments: readonly string[];
}

/** A here-document of RUN, COPY or ADD. */
export interface Heredoc {
  /** The terminator, which is also the name of the file that COPY makes. */
  readonly name: string;
  readonly fileDescriptor: number;
  /** The name was not quoted: variables in the text are expanded. */
  readonly expand: boolean;
  /** `<<-`: leading tabs are removed. */
  readonly chomp: boolean;
  readonly content: string;
}

/** Something that a user should know about a line, with the name of BuildKit's rule. */
export interface DockerfileWarning {
  readonly rule: string;
  readonly message: string;
  readonly startLine: number;
  readonly endLine: number;
}

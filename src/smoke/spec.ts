import type { Limits, Mount, SourceLocation } from '../../engine/index.ts';
import type { Batch } from './batch.ts';
import type { Tolerance } from './close.ts';
import type { TestCommand } from './command.ts';
import type { Json } from './json.ts';
import type { JsonPath } from './jsonpath.ts';
import type { Load } from './load-run.ts';
import type { ModelSection } from './model.ts';
import type { Predicates } from './predicates.ts';
import type { ExpectedEvents } from './sse.ts';
import type { StructureFile } from './structure/types.ts';
import type { Threshold } from './threshold.ts';

/** What the input `smoke-test` asks for. */
export type SmokeTest =
  | { readonly kind: 'off' }
  | { readonly kind: 'auto' }
  /** Look at the image's files, and start nothing. */
  | { readonly kind: 'structure' }
  | { readonly kind: 'spec'; readonly spec: SmokeSpec };

/** A smoke-test file, checked, with its defaults and with the files that it names read (smoke-test.md 4.3). */
export interface SmokeSpec {
  /** Where it was written, for people: a path, or `smoke-test`. */
  readonly source: string;
  /** SHA-256 in hex over the text and every file that it names: equal ones ask for the same test. */
  readonly fingerprint: string;
  readonly preset?: string | undefined;
  readonly run: RunSection;
  readonly readinessProbe: ReadinessProbe;
  readonly requests: readonly RequestItem[];
  /** How the server's models are named; their names stand as `{model}` in routes. */
  readonly model?: ModelSection | undefined;
  readonly thresholds: readonly (Threshold & Placed)[];
  readonly shutdown: Shutdown;
  readonly batch?: Batch | undefined;
  readonly load?: Load | undefined;
  readonly testCommand?: TestCommand | undefined;
  /** Files of container-structure-test, run before the start. */
  readonly structure: readonly StructureFile[];
  /** It asks for something that only a running server can answer; without, an image that looks like none is not started. */
  readonly asksForServer: boolean;
  /** Send the examples of the server's OpenAPI document as well. */
  readonly openapi?: Placed | undefined;
  /** File for a JUnit report, relative to the working directory. */
  readonly junit?: string | undefined;
  /** What the test asks for follows from the file and what it names alone: a pass may be remembered. */
  readonly isClosed: boolean;
}

/** A thing with a place in the user's file. */
export interface Placed {
  readonly location?: SourceLocation | undefined;
}

/** `run:` — how the container is started. */
export interface RunSection {
  readonly env: Readonly<Record<string, string>>;
  /** Replaces CMD. */
  readonly args?: readonly string[] | undefined;
  /** undefined: the image's. */
  readonly user?: string | undefined;
  readonly readOnly: boolean;
  /** `none`: a namespace of its own, reached through its published ports only. `egress`: with a way out. */
  readonly network: 'none' | 'egress';
  /** Values of `env-from`, which no report shows. */
  readonly secrets: readonly string[];
  readonly limits?: Limits | undefined;
  readonly mounts: readonly Mount[];
}

/** `readinessProbe:` — Kubernetes' fields, and those that model servers need. */
export interface ReadinessProbe {
  /** Paths tried in order; the first that the server knows decides. One when the spec names it. */
  readonly paths: readonly string[];
  /** undefined: the image's EXPOSE, else `fallbackPorts`. */
  readonly port?: number | undefined;
  readonly fallbackPorts: readonly number[];
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly startupTimeoutSeconds: number;
  readonly jsonpath: readonly JsonPathCheck[];
  readonly failWhen: readonly { readonly path: JsonPath; readonly values: readonly Json[] }[];
}

/** A path and what its value must fulfil. */
export interface JsonPathCheck extends Placed {
  readonly path: JsonPath;
  readonly predicates: Predicates;
}

/** One of `requests:`. */
export interface RequestItem extends Placed {
  readonly name: string;
  readonly request: HttpRequest;
  readonly response: ExpectedResponse;
  readonly repeat?: Repeat | undefined;
}

/** What is sent. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** How curl names the body: `@tests/row.json`, or the JSON itself. */
  readonly curlBody?: string | undefined;
  /** The fields of a multipart form, as curl's `-F` takes them. */
  readonly curlForm?: readonly string[] | undefined;
}

/** What must come back. */
export interface ExpectedResponse {
  readonly status: readonly StatusPattern[];
  readonly statusLocation?: SourceLocation | undefined;
  readonly headers: readonly HeaderCheck[];
  readonly schema?: (Placed & { readonly validate: SchemaValidator }) | undefined;
  readonly jsonpath: readonly JsonPathCheck[];
  readonly golden?: (Placed & Golden) | undefined;
  readonly finite: boolean;
  /** The answer is a stream of events. */
  readonly sse?: (Placed & ExpectedEvents) | undefined;
  /** The answer is as the server's own OpenAPI document describes it. */
  readonly openapi?: Placed | undefined;
}

/** A code, or the first digit of a class: 2 for `2xx`. */
export type StatusPattern = { readonly code: number } | { readonly class: number };

export interface HeaderCheck extends Placed {
  /** In lower case. */
  readonly name: string;
  readonly predicates: Predicates;
}

/** Why a value does not fulfil the schema, as sentences with paths; empty when it does. */
export type SchemaValidator = (value: Json) => readonly string[];

/** The wanted answer: JSON is compared by tolerance, other bytes exactly. */
export interface Golden extends Tolerance {
  readonly file: string;
  readonly wanted: { readonly json: Json } | { readonly bytes: Uint8Array };
}

/** `repeat:` */
export interface Repeat {
  readonly times: number;
  /** undefined: the answers are not compared. */
  readonly same?: Tolerance | undefined;
}

/** `shutdown:` */
export interface Shutdown extends Placed {
  readonly timeoutSeconds: number;
  readonly exitCodes: readonly number[];
  /** False when the spec does not say it: then it is reported and does not fail. */
  readonly required: boolean;
}

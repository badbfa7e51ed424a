import type { Json } from './json.ts';

/** A spec as the schema (`schema.json`) lets it through: the words of smoke-test.md 4.3. */
export interface RawSpec {
  readonly version?: 1;
  readonly preset?: string;
  readonly payload?: RawPayload;
  readonly model?: string;
  readonly run?: {
    readonly env?: Readonly<Record<string, string | number | boolean>>;
    readonly args?: readonly string[];
    readonly user?: string | number;
    readonly network?: 'none' | 'egress';
    readonly readOnly?: boolean;
    readonly 'env-from'?: readonly string[];
    readonly resources?: { readonly cpus?: number | string; readonly memory?: number | string };
    readonly mounts?: readonly { readonly source: string; readonly target: string; readonly readOnly?: boolean }[];
    readonly platform?: string;
  };
  readonly readinessProbe?: RawProbe;
  readonly requests?: readonly RawItem[];
  readonly thresholds?: Readonly<Record<string, string | readonly string[]>>;
  readonly batch?: {
    readonly path?: string;
    readonly key?: string;
    readonly from: RawPayload;
    readonly answer?: string;
    readonly rtol?: number;
    readonly atol?: number;
  };
  readonly load?: {
    readonly iterations: number;
    readonly vus?: number;
    readonly warmup?: number;
    readonly request?: string;
  };
  readonly 'test-command'?: string;
  readonly 'structure-tests'?: string | readonly string[];
  readonly openapi?: boolean;
  readonly report?: { readonly junit?: string };
  readonly shutdown?: { readonly timeoutSeconds?: number; readonly exitCodes?: readonly number[] };
}

/** A file name, or JSON. */
export type RawPayload = string | Json;

export interface RawProbe {
  readonly httpGet?: { readonly path?: string; readonly port?: number };
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly startupTimeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly jsonpath?: Readonly<Record<string, Json>>;
  readonly failWhen?: Readonly<Record<string, Json>>;
}

export interface RawItem {
  readonly name?: string;
  readonly request: {
    readonly method?: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string | number>>;
    readonly json?: RawPayload;
    readonly body?: string;
    readonly form?: Readonly<Record<string, RawField | readonly RawField[]>>;
    readonly multipart?: Readonly<Record<string, RawPart | readonly RawPart[]>>;
  };
  readonly response?: {
    readonly status?: RawStatus | readonly RawStatus[];
    readonly headers?: Readonly<Record<string, Json>>;
    readonly schema?: RawPayload;
    readonly jsonpath?: Readonly<Record<string, Json>>;
    readonly golden?: string | RawGolden;
    readonly finite?: boolean;
    readonly openapi?: boolean;
    readonly sse?: {
      readonly minEvents?: number;
      readonly last?: string;
      readonly firstEventSeconds?: number;
      readonly spread?: number;
    };
  };
  readonly repeat?: { readonly times: number; readonly same?: boolean | RawTolerance };
}

/** Text of a form's field. */
export type RawField = string | number | boolean;

/** A field, or a file. */
export type RawPart = RawField | { readonly file: string; readonly filename?: string; readonly contentType?: string };

export type RawStatus = number | string;

export interface RawTolerance {
  readonly rtol?: number;
  readonly atol?: number;
  readonly ignore?: readonly string[];
}

export interface RawGolden extends RawTolerance {
  readonly file: string;
}

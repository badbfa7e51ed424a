import type { Json } from './json.ts';

/** A spec as the schema (`schema.json`) lets it through: the words of smoke-test.md 4.3. */
export interface RawSpec {
  readonly version?: 1;
  readonly preset?: string;
  readonly payload?: RawPayload;
  readonly run?: {
    readonly env?: Readonly<Record<string, string | number | boolean>>;
    readonly args?: readonly string[];
    readonly user?: string | number;
    readonly network?: 'none' | 'egress';
    readonly readOnly?: boolean;
  };
  readonly readinessProbe?: RawProbe;
  readonly requests?: readonly RawItem[];
  readonly thresholds?: Readonly<Record<string, string | readonly string[]>>;
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
  };
  readonly response?: {
    readonly status?: RawStatus | readonly RawStatus[];
    readonly headers?: Readonly<Record<string, Json>>;
    readonly schema?: RawPayload;
    readonly jsonpath?: Readonly<Record<string, Json>>;
    readonly golden?: string | RawGolden;
    readonly finite?: boolean;
  };
  readonly repeat?: { readonly times: number; readonly same?: boolean | RawTolerance };
}

export type RawStatus = number | string;

export interface RawTolerance {
  readonly rtol?: number;
  readonly atol?: number;
  readonly ignore?: readonly string[];
}

export interface RawGolden extends RawTolerance {
  readonly file: string;
}

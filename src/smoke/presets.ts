import type { ContainerConfig } from '../../engine/index.ts';
import type { Json } from './json.ts';
import bentoml from './presets/bentoml.json' with { type: 'json' };
import cog from './presets/cog.json' with { type: 'json' };
import fastapi from './presets/fastapi.json' with { type: 'json' };
import kserveV1 from './presets/kserve-v1.json' with { type: 'json' };
import litserve from './presets/litserve.json' with { type: 'json' };
import mlflow from './presets/mlflow.json' with { type: 'json' };
import openInference from './presets/open-inference.json' with { type: 'json' };
import openai from './presets/openai.json' with { type: 'json' };
import sagemaker from './presets/sagemaker.json' with { type: 'json' };
import tfServing from './presets/tf-serving.json' with { type: 'json' };
import torchserve from './presets/torchserve.json' with { type: 'json' };
import triton from './presets/triton.json' with { type: 'json' };
import vertexAi from './presets/vertex-ai.json' with { type: 'json' };

/** What is known of a kind of server, from a data file in `presets/` (smoke-test.md 2). What a spec says itself comes before it. */
export interface Preset {
  readonly name: string;
  readonly description: string;
  /** What tells an image of this kind: names of variables, and what its labels begin with. */
  readonly detect?: {
    readonly labels?: readonly string[];
    readonly env?: readonly string[];
    /** What its command must name as well, since images for other work are built upon the same base. */
    readonly command?: string;
  };
  /** The only port, whatever the image EXPOSEs. */
  readonly port?: number;
  /** Ports to try when the image EXPOSEs none. */
  readonly ports: readonly number[];
  readonly run?: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> };
  readonly readiness: {
    /** Paths tried in order; the first that the server knows decides. */
    readonly paths: readonly string[];
    readonly startupTimeoutSeconds: number;
    readonly successThreshold?: number;
    readonly jsonpath?: Readonly<Record<string, Json>>;
    readonly failWhen?: Readonly<Record<string, Json>>;
  };
  /** How its models are named, where routes have the name in them, written `{model}`. */
  readonly model?: {
    readonly variable?: string;
    readonly fallback?: string;
    readonly queries: readonly {
      readonly method: string;
      readonly path: string;
      readonly port?: number;
      readonly body?: Json;
      /** JSONPath of the names in the answer. */
      readonly names: string;
    }[];
    readonly probe?: {
      readonly path: string;
      readonly port?: number;
      readonly jsonpath?: Readonly<Record<string, Json>>;
      readonly failWhen?: Readonly<Record<string, Json>>;
    };
  };
  /** Where `payload` goes, and what its answer has; none where every API has a route of its own. */
  readonly predict?: {
    readonly method: string;
    readonly path: string;
    readonly jsonpath?: Readonly<Record<string, Json>>;
  };
}

const PRESETS: readonly Preset[] = [
  fastapi,
  sagemaker,
  vertexAi,
  mlflow,
  cog,
  bentoml,
  litserve,
  openai,
  triton,
  openInference,
  kserveV1,
  tfServing,
  torchserve,
];

/** The preset that a spec without `preset` starts from. */
export const GENERIC: Preset = fastapi;

/** Names of the presets that there are. */
export const presetNames: readonly string[] = PRESETS.map(({ name }) => name);

/** Names of those whose routes have the name of a model in them. */
export const presetsWithModels: readonly string[] = PRESETS.filter(({ model }) => model).map(({ name }) => name);

/** The preset of that name, or undefined. */
export function findPreset(name: string): Preset | undefined {
  return PRESETS.find((preset) => preset.name === name);
}

/**
 * The preset whose label or variable an image has. They are inherited from its base, so they count where it has a server to run: a command that
 * is more than a shell, and for a variable one that names that server, where its command is known.
 */
export function detectPreset({ Env = [], Labels = {}, Entrypoint, Cmd }: ContainerConfig): Preset | undefined {
  const [variables, labels] = [Env.map((pair) => pair.split('=', 1)[0]), Object.keys(Labels ?? {})];
  const command = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  return PRESETS.find(({ detect = {}, run = {} }) => {
    if (run.args === undefined && isIdle(command)) return false;
    if ((detect.labels ?? []).some((prefix) => labels.some((label) => label.startsWith(prefix)))) return true;
    const isNamed = detect.command === undefined || command.join(' ').includes(detect.command);
    return isNamed && (detect.env ?? []).some((name) => variables.includes(name));
  });
}

/** Nothing, or what base images start: it ends at once where nobody types. */
function isIdle(command: readonly string[]): boolean {
  const [program = '', ...more] = command;
  return (
    more.length === 0 && /^(?:|(?:ba|da|a|z|k)?sh|i?python[\d.]*|node|R|julia)$/.test(program.replace(/^.*\//, ''))
  );
}

import fastapi from './presets/fastapi.json' with { type: 'json' };

/** What is known of a kind of server, from a data file in `presets/` (smoke-test.md 2). */
export interface Preset {
  readonly name: string;
  readonly description: string;
  /** Ports to try when the image EXPOSEs none. */
  readonly ports: readonly number[];
  readonly readiness: {
    /** Paths tried in order; the first that the server knows decides. */
    readonly paths: readonly string[];
    readonly startupTimeoutSeconds: number;
  };
  /** Where `payload` goes. */
  readonly predict: { readonly method: string; readonly path: string };
}

const PRESETS: readonly Preset[] = [fastapi];

/** The preset that a spec without `preset` starts from. */
export const GENERIC: Preset = fastapi;

/** Names of the presets that there are. */
export const presetNames: readonly string[] = PRESETS.map(({ name }) => name);

/** The preset of that name, or undefined. */
export function findPreset(name: string): Preset | undefined {
  return PRESETS.find((preset) => preset.name === name);
}

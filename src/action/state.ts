/** What main leaves for post. Never a secret: the state lies in a file of the runner (hardening.md 5, rule 5). */
export interface ActionState {
  /** Store of the job. */
  readonly root: string;
  /** This step made the store; no other step of the job needs it after this one's post. */
  readonly first: boolean;
  /** Folder of this step for what is on its way to the cache. */
  readonly folder: string;
  /** Main came to its end and has stopped all it started. */
  readonly ended: boolean;
  /** File with the plan of what to save in the cache. */
  readonly plan: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** True in the post step: main says so with its first act. */
export function isPost(env: Environment): boolean {
  return env['STATE_post'] === 'true';
}

export function readState(env: Environment): ActionState {
  return {
    root: env['STATE_root'] ?? '',
    first: env['STATE_first'] === 'true',
    folder: env['STATE_folder'] ?? '',
    ended: env['STATE_ended'] === 'true',
    plan: env['STATE_plan'] || undefined,
  };
}

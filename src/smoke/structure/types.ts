import type { Mount } from '../../../engine/index.ts';
import type { Placed } from '../spec.ts';
import type { GoRegex } from './go-regex.ts';

/** A file of container-structure-test, schema 2.0.0, checked and read. */
export interface StructureFile {
  /** As the smoke test names it. */
  readonly source: string;
  readonly globalEnv: readonly Variable[];
  readonly commands: readonly CommandTest[];
  readonly files: readonly ExistenceTest[];
  readonly contents: readonly ContentTest[];
  readonly licenses: readonly LicenseTest[];
  readonly metadata?: MetadataTest | undefined;
  readonly options: RunOptions;
}

/** A variable whose value may name others. */
export interface Variable {
  readonly key: string;
  readonly value: string;
}

/** A command, run in a container of its own. */
export interface CommandTest extends Placed {
  readonly name: string;
  /** Run before it, each in a container of its own on what the one before left. */
  readonly setup: readonly (readonly string[])[];
  readonly teardown: readonly (readonly string[])[];
  readonly env: readonly Variable[];
  /** Program and arguments; they may name variables of the image. */
  readonly command: readonly string[];
  readonly exitCode: number;
  readonly expectedOutput: readonly GoRegex[];
  readonly excludedOutput: readonly GoRegex[];
  readonly expectedError: readonly GoRegex[];
  readonly excludedError: readonly GoRegex[];
}

/** Whether a path is there, and how. */
export interface ExistenceTest extends Placed {
  readonly name: string;
  readonly path: string;
  readonly shouldExist: boolean;
  /** As Go writes a mode. */
  readonly permissions?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly isExecutableBy?: 'owner' | 'group' | 'other' | 'any' | undefined;
}

/** What a file holds. */
export interface ContentTest extends Placed {
  readonly name: string;
  readonly path: string;
  readonly expected: readonly GoRegex[];
  readonly excluded: readonly GoRegex[];
}

/** Files that must name no licence of the kind that the authors of the tool shun. */
export interface LicenseTest extends Placed {
  /** Look at the copyright files of all Debian packages. */
  readonly debian: boolean;
  readonly files: readonly string[];
}

/** A name and what its value must be. */
export interface WantedPair {
  readonly key: string;
  readonly value: string | GoRegex;
}

/** What the image's configuration must say; what is undefined is not compared. */
export interface MetadataTest extends Placed {
  readonly env: readonly WantedPair[];
  readonly unboundEnv: readonly string[];
  readonly labels: readonly WantedPair[];
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly exposedPorts: readonly string[];
  readonly unexposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly unmountedVolumes: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
}

/** `containerRunOptions:` — how the containers of command tests are run. */
export interface RunOptions {
  readonly user?: string | undefined;
  readonly privileged: boolean;
  readonly tty: boolean;
  /** `NAME=value`, of `envFile` and `envVars`. */
  readonly env: readonly string[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly mounts: readonly Mount[];
  /** undefined: that of the smoke test. */
  readonly network?: 'none' | 'bridge' | 'host' | undefined;
  /** Values that no report shows. */
  readonly secrets: readonly string[];
}

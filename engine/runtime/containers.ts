import type { ActOptions } from '../base/progress.ts';
import type { Containers } from '../engine.ts';
import type { ProbeReply } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import type { Store, StoredImage } from '../store/types.ts';

/** What containers are run with; `engine/index.ts` gives it. */
export interface ContainersDependencies {
  readonly store: Store;
  /** The helper and the probe's findings, once the rung has been chosen. */
  readonly connect: () => Promise<{ readonly helper: Helper; readonly probe: ProbeReply }>;
  /** The image of that name: of the store, or pulled by the policy. @throws `IMAGE_NOT_FOUND` */
  readonly ensureImage: (
    name: string,
    pull: 'always' | 'missing' | 'never',
    options?: ActOptions,
  ) => Promise<StoredImage>;
  /** Snapshots of the image's layers, topmost first; unpacks what is missing. */
  readonly ensureSnapshots: (image: StoredImage, options?: ActOptions) => Promise<readonly string[]>;
}

/** {@link Containers} on the helper. */
export declare function createContainers(dependencies: ContainersDependencies): Containers;

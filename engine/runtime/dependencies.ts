import type { ActOptions } from '../base/progress.ts';
import type { Platform } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import type { Store, StoredImage } from '../store/types.ts';
import type { MachineProbe } from './spec.ts';

/** The helper and the probe's findings, once the rung has been chosen. */
export interface Connection {
  readonly helper: Helper;
  readonly probe: MachineProbe;
  /** BERTH_ROOT. */
  readonly root: string;
  /** Folders of CDI files; the usual ones when left out. */
  readonly cdi?: readonly string[] | undefined;
}

/** What containers are run with; `engine/index.ts` gives it. */
export interface ContainersDependencies {
  readonly store: Pick<Store, 'locks' | 'root'>;
  readonly connect: () => Promise<Connection>;
  /** The same, or where no rung is possible a helper as the caller: who lists what there is runs nothing. */
  readonly connectToLook: () => Promise<Connection>;
  /** A helper with the caller's own rights, for the files of this machine. */
  readonly hostHelper: Helper;
  /** The image of that name: of the store, or pulled by the policy. @throws `IMAGE_NOT_FOUND` */
  readonly ensureImage: (
    name: string,
    pull: 'always' | 'missing' | 'never',
    options?: ActOptions & { readonly platform?: Platform | undefined },
  ) => Promise<StoredImage>;
  /** Snapshots of the image's layers, topmost first; unpacks what is missing. */
  readonly ensureSnapshots: (image: StoredImage, options?: ActOptions) => Promise<readonly string[]>;
}

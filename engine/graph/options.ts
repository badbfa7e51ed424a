import type { Platform } from '../image/types.ts';
import type { ExecOp } from './types.ts';

/** What the user asked for; the same for {@link resolveBases} and {@link toGraph}. */
export interface GraphOptions {
  /** Stage to build, by name or number. Default: the last one. */
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** Labels of the image beside those of the Dockerfile; they win. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What the image is for. */
  readonly platform: Platform;
  /** What we run on (`BUILDPLATFORM`). Default: `platform`. */
  readonly buildPlatform?: Platform | undefined;
  /** The image is one of several: names of steps say for which platform they are. */
  readonly showPlatform?: boolean | undefined;
  readonly noCache?: boolean | undefined;
  /** Named contexts: what takes the place of stages, images and `--from` of these names. */
  readonly contexts?: Readonly<Record<string, NamedContext>> | undefined;
  /** Names of the stages that are built without cache. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** Every stage, not only those that the target needs: for the checks. */
  readonly allStages?: boolean | undefined;
  /** Whether the ignore file hides a path of the context; undefined when there is none, or it has exceptions. */
  readonly isIgnored?: ((path: string) => boolean) | undefined;
  /** Network of every RUN that does not say. */
  readonly network?: 'default' | 'none' | 'host' | undefined;
  /** A RUN may ask for the host's network by itself; it needs no leave where that is the one of every RUN. */
  readonly allowHostNetwork?: boolean | undefined;
  readonly extraHosts?: ExecOp['extraHosts'];
  /** Bytes of `/dev/shm` in RUN. */
  readonly shmSize?: number | undefined;
  readonly ulimits?: ExecOp['ulimits'];
}

/** What a named context gives: an image, or files that the executor opens by the name. */
export type NamedContext = { readonly type: 'image'; readonly reference: string } | { readonly type: 'files' };

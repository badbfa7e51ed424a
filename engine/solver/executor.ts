import type { ActOptions } from '../base/progress.ts';
import type { Context } from '../context/index.ts';
import type { ExecOp, TreeSource, Vertex, VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import type { StartArgs } from '../native/protocol.ts';
import type { ForbiddenValue } from '../store/forbidden.ts';
import type { Packing } from '../store/pack.ts';
import type { Snapshots } from '../store/snapshots.ts';
import { createSelect, digestOutside, shapeOutside } from './ops/context.ts';
import { checksumStage, runFile } from './ops/file.ts';
import { runExec } from './ops/exec.ts';
import type { Lender } from './ops/lend.ts';
import { newUpper } from './ops/upper.ts';
import type { Executor } from './types.ts';

/** What steps are done with; `engine/build.ts` joins the parts. */
export interface ExecutorParts {
  readonly snapshots: Snapshots;
  /** The build context, opened when the first COPY needs it. */
  readonly context: () => Promise<Context>;
  /** Files from elsewhere as a context: a named one, a repository, a download. */
  readonly source: (from: TreeSource) => Promise<Context>;
  /** What stands for those files without reading them; undefined: their content does. */
  readonly identify: (from: TreeSource) => Promise<string | undefined>;
  /** Makes what `start` needs for a RUN, but for its root file system. */
  readonly specOf: (
    op: ExecOp,
    snapshots: readonly string[],
    options: {
      readonly signal?: AbortSignal | undefined;
      /** Hears what the user should know of the step, a line without its end. */
      readonly onNote?: ((line: string) => void) | undefined;
    },
  ) => Promise<Omit<StartArgs, 'rootfs'>>;
  /** Finds a user, group or both (`app`, `:staff`) in a root file system. @throws `USER_NOT_FOUND` */
  readonly identifyUser: (
    user: string,
    snapshots: readonly string[],
    options: { readonly signal?: AbortSignal | undefined },
  ) => Promise<{ readonly uid: number; readonly gid: number }>;
  /** What RUN mounts beside files: caches, secrets, agents. */
  readonly lender: Lender;
  /** Values that no layer may hold. */
  readonly forbidden?: readonly ForbiddenValue[] | undefined;
  /** How the layer of a vertex will be packed; undefined: nobody has asked for its blob. */
  readonly packingOf?: ((vertex: VertexId) => Packing | undefined) | undefined;
  /** Keeps the state below a failed step and gives the id of its image. */
  readonly keepState: (vertex: Vertex, op: ExecOp, base: readonly Digest[]) => Promise<string | undefined>;
}

/** The {@link Executor} on the helper. Uppers have random names until they are hashed; those of failed steps are removed. */
export function createExecutor(parts: ExecutorParts): Executor {
  const { snapshots } = parts;
  const select = createSelect(parts);
  /** Lets `act` fill an upper on the layers, and makes a layer of it. */
  const onUpper = async (
    base: readonly Digest[],
    vertex: Vertex,
    options: ActOptions,
    act: (upper: string, lowers: readonly string[]) => Promise<void>,
  ): Promise<Digest | null> => {
    const lowers = await snapshots.ensure(base, { ...options, vertex: vertex.id });
    const upper = newUpper();
    try {
      await act(upper, lowers);
      return await snapshots.finish(upper, lowers, { ...options, vertex: vertex.id, forbidden: parts.forbidden });
    } catch (error) {
      // The error counts, not the clean-up: what is left is garbage that the next prune collects.
      await snapshots.discard([upper]).catch(() => undefined);
      throw error;
    }
  };
  return {
    run: (vertex, op, base, inputs, options) =>
      onUpper(base, vertex, options, (upper, lowers) =>
        runExec(parts, { vertex, op, base, inputs, upper, lowers }, options),
      ),
    file: async (vertex, op, { layers: base, createdAt }, inputs, options) => {
      const lowers = await snapshots.ensure(base, { ...options, vertex: vertex.id });
      return await runFile({ ...parts, select }, { vertex, op, inputs, lowers, createdBelow: createdAt }, options);
    },
    checksum: (vertex, layers, action, options) => checksumStage(snapshots, vertex, layers, action, options),
    contextDigest: (action, options) => digestOutside({ ...parts, select }, action, options),
    contextShape: (action) => shapeOutside({ ...parts, select }, action),
    has: (layer, below) => snapshots.has(layer, below),
  };
}

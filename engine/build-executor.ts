import type { ActOptions } from './base/progress.ts';
import type { Machine, Parts } from './connect.ts';
import type { BuildInputs } from './build-inputs.ts';
import { createLender } from './build-lender.ts';
import { mountFolder, type MountTracker } from './cache/index.ts';
import { createBringMount } from './cache-mounts.ts';
import { fallNote } from './fall.ts';
import type { ExecOp, VertexId } from './graph/index.ts';
import { shortDigest, digestOf } from './image/digest.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import type { Digest, ImageConfig, Platform } from './image/types.ts';
import { createBuildSpec, createReadAccounts, lookupUser, type StepNetworks } from './runtime/index.ts';
import { createExecutor, type Executor } from './solver/index.ts';
import type { ForbiddenValue, Packing } from './store/index.ts';

/** What the steps of one build need. */
export interface BuildExecutorOptions {
  readonly inputs: BuildInputs;
  /** Path of the Dockerfile, for its own ignore file. */
  readonly dockerfile: string | undefined;
  /** Values that no layer may hold. */
  readonly forbidden: readonly ForbiddenValue[];
  /** How the layer of a vertex will be packed. */
  readonly packingOf: (vertex: VertexId) => Packing | undefined;
  readonly networks: StepNetworks;
  /** Hears what cache mounts the steps have. */
  readonly mounts: MountTracker;
  readonly act: ActOptions;
}

/** Joins the parts that do a build's steps: snapshots and helper, context, accounts, RUN's configuration. */
export async function createBuildExecutor(
  parts: Parts,
  { helper, isolation }: Machine,
  { inputs, dockerfile, forbidden, packingOf, networks, mounts, act }: BuildExecutorOptions,
): Promise<Executor> {
  const { options } = parts;
  const accountsOf = createReadAccounts(helper, { remember: true });
  return createExecutor({
    snapshots: await parts.snapshots(act),
    context: inputs.context(dockerfile),
    source: (from) => inputs.source(from),
    identify: (from) => inputs.identify(from),
    specOf: createBuildSpec({
      helper,
      probe: isolation.probe,
      networks,
      caFile: options.buildCa ? options.caFile : undefined,
      note: fallNote(isolation),
    }),
    identifyUser: async (user, snapshots, how) => lookupUser(user, await accountsOf(snapshots, how)),
    lender: createLender(parts, inputs.request, {
      folderOf: (name) => mountFolder(name, options.cacheMountScope),
      bring: createBringMount(parts, helper),
      mounted: (vertex, mount) => mounts.mounted(vertex, mount),
    }),
    forbidden,
    packingOf,
    keepState: ({ platform }, op, base) => keepState(parts, op, base, platform),
  });
}

/** An image without a name that holds the state below a failed RUN, with the surroundings that the step had. */
async function keepState(
  { store }: Parts,
  op: ExecOp,
  base: readonly Digest[],
  { os, architecture, variant }: Platform,
): Promise<string | undefined> {
  if (base.length === 0) return undefined;
  const config: ImageConfig = {
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: { Env: op.env, WorkingDir: op.cwd, ...(op.user === '' ? {} : { User: op.user }), Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: base },
  };
  const content = Buffer.from(JSON.stringify(config));
  await store.content.write(OCI_CONFIG, content);
  const id = digestOf(content);
  await store.images.put({ id });
  return shortDigest(id);
}

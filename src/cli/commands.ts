import type { AnyCommand } from './command.ts';
import { commit, diff, exportContainer, importImage, load, save } from './commands/archives.ts';
import { build } from './commands/build.ts';
import { ci } from './commands/ci.ts';
import { completion } from './commands/completion.ts';
import { cp } from './commands/cp.ts';
import { events } from './commands/events.ts';
import { exec } from './commands/exec.ts';
import { history } from './commands/history.ts';
import { images, rmi, tag } from './commands/images.ts';
import { inspect, inspectContainer, inspectImage } from './commands/inspect.ts';
import { attach } from './commands/attach.ts';
import { create } from './commands/create.ts';
import { kill, pause, rename, restart, rm, stop, unpause, wait } from './commands/lifecycle.ts';
import { login, logout } from './commands/login.ts';
import { logs } from './commands/logs.ts';
import { network } from './commands/network.ts';
import { port } from './commands/port.ts';
import { ps } from './commands/ps.ts';
import { serve } from './commands/registry.ts';
import { run } from './commands/run.ts';
import { start } from './commands/start.ts';
import { stats } from './commands/stats.ts';
import { top } from './commands/top.ts';
import { update } from './commands/update.ts';
import { pruneBuilds, pruneContainers, pruneImages, pruneSystem } from './commands/prune.ts';
import { fsck, info, version } from './commands/system.ts';
import { df } from './commands/df.ts';
import { pull, push } from './commands/transfer.ts';
import { createVolume, inspectVolume, listVolumes, pruneVolumes, removeVolume } from './commands/volume.ts';

/** Commands by their own names, in the order of help. */
export const COMMANDS: readonly AnyCommand[] = [
  ci,
  build,
  run,
  create,
  start,
  exec,
  cp,
  attach,
  ps,
  port,
  logs,
  stop,
  restart,
  kill,
  pause,
  unpause,
  update,
  rename,
  top,
  stats,
  events,
  wait,
  rm,
  images,
  rmi,
  inspect,
  tag,
  history,
  save,
  load,
  importImage,
  exportContainer,
  commit,
  diff,
  pull,
  push,
  login,
  logout,
  info,
  version,
  completion,
];

/** Docker's grouped forms, and groups of our own. */
export const GROUPS: Readonly<
  Record<string, { readonly docs: string; readonly commands: Readonly<Record<string, AnyCommand>> }>
> = {
  container: {
    docs: 'Manage containers',
    commands: {
      run,
      create,
      start,
      exec,
      cp,
      attach,
      ls: ps,
      list: ps,
      ps,
      logs,
      port,
      stop,
      restart,
      kill,
      pause,
      unpause,
      update,
      rename,
      top,
      stats,
      wait,
      rm,
      remove: rm,
      inspect: inspectContainer,
      prune: pruneContainers,
      commit,
      diff,
      export: exportContainer,
    },
  },
  image: {
    docs: 'Manage images',
    commands: {
      build,
      ls: images,
      list: images,
      rm: rmi,
      remove: rmi,
      inspect: inspectImage,
      prune: pruneImages,
      tag,
      pull,
      push,
      history,
      save,
      load,
      import: importImage,
    },
  },
  network: { docs: 'Manage networks', commands: network },
  volume: {
    docs: 'Manage volumes',
    commands: {
      create: createVolume,
      ls: listVolumes,
      list: listVolumes,
      inspect: inspectVolume,
      rm: removeVolume,
      remove: removeVolume,
      prune: pruneVolumes,
    },
  },
  builder: { docs: 'Manage builds', commands: { build, prune: pruneBuilds } },
  system: { docs: 'Manage the store', commands: { df, events, fsck, prune: pruneSystem, info } },
  registry: { docs: 'A registry of our own', commands: { serve } },
};

/** Docker's commands, and ours to come, that are not there yet. */
export const REFUSED_COMMANDS: ReadonlySet<string> = new Set([
  ...(
    'compose plugin search smoke buildx context manifest ' + 'checkpoint config node secret service stack swarm trust'
  ).split(' '),
  'volume update',
]);

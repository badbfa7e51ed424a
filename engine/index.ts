// The only door of the engine: src/ imports nothing below this file. What stands here is small; the engine itself is loaded when one is made.
export { EngineError, isEngineError, messageOf, type ErrorDetails, type SourceLocation } from './base/errors.ts';
export { escapeControl } from './base/escape.ts';
export { accountHome } from './base/account-home.ts';
export { isInside } from './base/inside.ts';
export { decodePercent } from './base/percent.ts';
export { isRecord } from './base/is-record.ts';
export { redact } from './base/redact.ts';
export { suggest } from './base/suggest.ts';
export {
  withVertex,
  type ActOptions,
  type LogEvent,
  type OnEvent,
  type ProgressEvent,
  type StatusEvent,
  type VertexEvent,
  type WarningEvent,
} from './base/progress.ts';
export type * from './engine.ts';
export type * from './image/types.ts';
export type { Ended, PublishedPort, Restart, RungName } from './native/protocol.ts';
export { createEngine } from './open.ts';
export { hostPlatform } from './host-platform.ts';
export { formatPlatform, parsePlatform } from './image/platform.ts';
export { runsOn } from './image/choose.ts';
export { matchesPattern } from './image/reference-list.ts';
export { parseReference } from './image/reference.ts';
export { parseGitSource } from './git-source.ts';
export { StepError } from './solver/step-error.ts';
export { credentialsFromDockerConfig, helperServerUrl, lookupDockerConfig } from './registry/docker-config.ts';
export { lostLayerOf } from './store/lost-layer.ts';
export { isNamed } from './store/names.ts';
export { hasProxy, proxiesOf, tunnels } from './registry/proxy.ts';
export { parseCacheIndex, type CacheIndex } from './cache/exchange-index.ts';
export { parseMountRecords, type MountRecord } from './cache/mounts.ts';
export type { MountExchange, MountExport } from './cache-mounts.ts';
export type { CacheExchange, CacheExport, ExportedBlob } from './cache/index.ts';

// The only door of the engine: src/ imports nothing below this file.
export { EngineError, isEngineError, messageOf, type ErrorDetails, type SourceLocation } from './base/errors.ts';
export { escapeControl } from './base/escape.ts';
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
export { createEngine } from './create.ts';
export { parseGitSource } from './build-contexts.ts';
export { StepError } from './solver/index.ts';
export { credentialsFromDockerConfig, helperServerUrl, lookupDockerConfig } from './registry/index.ts';
export {
  parseCacheIndex,
  type CacheExchange,
  type CacheExport,
  type CacheIndex,
  type ExportedBlob,
} from './cache/index.ts';

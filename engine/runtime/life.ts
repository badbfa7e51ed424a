import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type { Join, Life, LogLimits } from '../native/protocol.ts';
import { healthOf } from './health.ts';

/** Bytes and files of a log that nobody bounded. */
const LOG_LIMITS: LogLimits = { maxSize: 64 * 1024 * 1024, maxFiles: 2 };

/** The same for the driver `local`: Docker's numbers. Its files are kept as those of `json-file`. */
const LOCAL: LogLimits = { maxSize: 20 * 1024 * 1024, maxFiles: 5 };

/** What the monitor of a container keeps to: checks, restarts, its log, and what events say of it. @throws `HEALTHCHECK_INVALID`, `LOG_INVALID` */
export function lifeOf(
  spec: RunSpec,
  { name, image, config, joins }: Named & { readonly config: ContainerConfig; readonly joins: readonly Join[] },
): Life {
  return {
    restart: spec.restart ?? { policy: 'no', maxRetries: 0 },
    health: healthOf(config),
    logLimits: logLimits(spec.log),
    stdinOnce: !(spec.detach ?? false),
    attributes: attributesOf({ name, image, labels: config.Labels }),
    joins: [...joins],
  };
}

interface Named {
  readonly name: string;
  readonly image: string;
}

/** What events say of a container beside its id; Docker's attributes. */
export function attributesOf({
  name,
  image,
  labels = {},
}: Named & { readonly labels?: ContainerConfig['Labels'] | undefined }): Record<string, string> {
  return { ...labels, image, name };
}

function logLimits(log: RunSpec['log']): LogLimits {
  const { maxSize, maxFiles = 1 } = { ...(log?.driver === 'local' ? LOCAL : {}), ...log };
  if (maxSize === undefined) {
    if (maxFiles > 1) {
      throw new EngineError('LOG_INVALID', 'Cannot keep several log files: max-file needs max-size', {
        hint: 'add --log-opt max-size=10m',
      });
    }
    return LOG_LIMITS;
  }
  return { maxSize, maxFiles };
}

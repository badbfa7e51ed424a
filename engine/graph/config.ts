import type { ContainerConfig } from '../image/types.ts';
import { withEntry } from './env.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a stage inherits of its base's configuration. ONBUILD triggers don't carry over, and PATH is always set. */
export function inheritedConfig(config: ContainerConfig | undefined): ContainerConfig {
  const { OnBuild: _, ...kept } = config ?? {};
  const Env = kept.Env ?? [];
  const hasPath = Env.some((entry) => entry.startsWith('PATH='));
  return { ...kept, Env: hasPath ? Env : withEntry(Env, 'PATH', DEFAULT_PATH) };
}

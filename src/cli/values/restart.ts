import type { Restart } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';

const POLICIES = ['no', 'on-failure', 'always', 'unless-stopped'] as const;

/** `no`, `on-failure[:n]`, `always` or `unless-stopped`, of `--restart`. */
export function parseRestart(text: string): Restart {
  const [name = '', ...counts] = text.split(':');
  const retries = counts.length === 0 ? undefined : counts.join(':');
  if (name === '' && retries !== undefined) {
    throw new UsageError('invalid restart policy format: no policy provided before colon');
  }
  const policy = POLICIES.find((known) => known === (name || 'no'));
  if (policy === undefined) {
    throw new UsageError(`invalid restart policy: unknown policy '${name}'; use one of ${POLICIES.join(', ')}`);
  }
  if (retries === undefined) return { policy, maxRetries: 0 };
  if (!/^\d{1,9}$/.test(retries))
    throw new UsageError('invalid restart policy format: maximum retry count must be an integer');
  if (policy !== 'on-failure' && Number(retries) > 0) {
    throw new UsageError("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  return { policy, maxRetries: Number(retries) };
}

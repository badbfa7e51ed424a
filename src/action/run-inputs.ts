import { statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { BuildRequest } from '../../engine/index.ts';
import { parseEntitlement } from '../cli/values/entitlement.ts';
import { parseExtraHost } from '../cli/values/host.ts';
import { parseSize } from '../cli/values/size.ts';
import { parseUlimit } from '../cli/values/ulimit.ts';
import { parseList } from './csv.ts';
import { named } from './named.ts';
import { parseBoolean, parseChoice } from './values.ts';

/** What the steps of a build are run with. */
export type RunInputs = Pick<
  BuildRequest,
  'ssh' | 'network' | 'allowHostNetwork' | 'extraHosts' | 'shmSize' | 'ulimits' | 'allowSecretInLayer'
>;

type Environment = Readonly<Record<string, string | undefined>>;

const NETWORKS = ['default', 'none', 'host'] as const;

/**
 * `ssh`, `network`, `allow`, `add-hosts`, `shm-size` and `ulimit` in docker/build-push-action's form, and `allow-secret-in-layer`.
 *
 * @param env where `ssh: default` finds its agent
 * @throws `INPUT_INVALID` naming the input
 */
export function parseRunInputs(raw: ReadonlyMap<string, string>, env: Environment): RunInputs {
  const text = (name: string): string => (raw.get(name) ?? '').trim();
  const list = <T>(name: string, one: (word: string) => T): readonly T[] =>
    parseList(name, raw.get(name) ?? '').map((word) => named(name, () => one(word)));
  return {
    ssh: list('ssh', (word) => parseAgent(word, env['SSH_AUTH_SOCK'])),
    network: parseChoice('network', text('network'), NETWORKS),
    allowHostNetwork: list('allow', parseEntitlement).includes('network.host'),
    extraHosts: list('add-hosts', parseExtraHost),
    shmSize: text('shm-size') === '' ? undefined : named('shm-size', () => parseSize(text('shm-size'))),
    ulimits: list('ulimit', parseUlimit),
    allowSecretInLayer: parseBoolean('allow-secret-in-layer', text('allow-secret-in-layer'), false),
  };
}

/** `default`, `default=/path/of/socket`, `id=/path/of/socket`. A key file would have to be read into an agent of our own, and is refused. */
function parseAgent(word: string, agent: string | undefined): { readonly id: string; readonly socket: string } {
  const at = word.indexOf('=');
  const id = at < 0 ? word : word.slice(0, at);
  const socket = at < 0 ? agent : word.slice(at + 1);
  if (!socket) throw new Error('no agent runs: SSH_AUTH_SOCK is not set; start one with ssh-agent in a step before');
  const found = isAbsolute(socket) ? statSync(socket, { throwIfNoEntry: false }) : undefined;
  if (found?.isSocket() !== true)
    throw new Error(`${socket} is no socket of an agent; add the key to one with ssh-add`);
  return { id, socket };
}

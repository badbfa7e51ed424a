import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentialsFromDockerConfig, type CredentialSource, lookupDockerConfig } from '../../engine/index.ts';
import { type CredentialHelper, credentialHelper, type HelperProcess } from './credential-helper.ts';

/**
 * Credentials from an existing Docker configuration in `folder`, which is only ever read: of the registry's credential helper, of the
 * store of all registries, or of an entry of `auths`, each for exactly that host and port.
 */
export function dockerCredentials(folder: string, process: HelperProcess): CredentialSource {
  return async (registry) => {
    const found = await lookUp(folder, registry, process);
    return found && 'helper' in found ? await found.helper.get(registry) : found?.credentials;
  };
}

/** Where `login` and `logout` of a registry find it in the Docker configuration of `folder`: its helper, or that its file has an entry. */
export async function dockerPlace(
  folder: string,
  registry: string,
  process: HelperProcess,
): Promise<{ readonly helper: CredentialHelper } | 'file' | undefined> {
  const found = await lookUp(folder, registry, process);
  return found && 'helper' in found ? found : found && 'file';
}

async function lookUp(folder: string, registry: string, process: HelperProcess) {
  const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => undefined);
  const found = text === undefined ? undefined : lookupDockerConfig(credentialsFromDockerConfig(text), registry);
  return found && 'helper' in found ? { helper: credentialHelper(found.helper, process) } : found;
}

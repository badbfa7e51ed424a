import { EngineError } from './base/errors.ts';
import type { Helper } from './native/types.ts';
import { NativeError } from './native/errors.ts';
import { registryName } from './registry/endpoint.ts';
import type { Credentials, CredentialSource } from './registry/types.ts';

/** Credentials by registry in the memory of the kernel: for this user alone, on no disk, until the machine restarts. */
export interface Keyring {
  /** Undefined where there is no entry, and where the kernel gives no keyring. */
  find(registry: string): Promise<Credentials | undefined>;
  /** @throws `KEYRING_IMPOSSIBLE` with what to do instead */
  keep(registry: string, credentials: Credentials): Promise<void>;
  /** Whether the kernel gives a keyring here. */
  works(): Promise<boolean>;
  /** Whether there was an entry. */
  forget(registry: string): Promise<boolean>;
}

/** {@link Keyring} by a helper that runs as the user. */
export function createKeyring(helper: Helper): Keyring {
  return {
    find: async (registry) => {
      const chunks: Uint8Array[] = [];
      const onData = (chunk: Uint8Array): void => void chunks.push(chunk);
      const args = { act: 'read' as const, name: registryName(registry) };
      const reply = await helper.call('keyring', args, { onData }).catch(noneIfImpossible);
      return reply?.found ? decode(Buffer.concat(chunks)) : undefined;
    },
    keep: async (registry, credentials) => {
      const value = Buffer.from(JSON.stringify({ v: 1, ...credentials }));
      try {
        const args = { act: 'store' as const, name: registryName(registry) };
        await helper.call('keyring', args, { secrets: [{ id: 'value', value }] });
      } catch (error) {
        throw impossible(registry, error);
      }
    },
    works: async () => {
      const args = { act: 'read' as const, name: 'nobody' };
      return (await helper.call('keyring', args).catch(noneIfImpossible)) !== undefined;
    },
    forget: async (registry) => {
      const reply = await helper
        .call('keyring', { act: 'erase', name: registryName(registry) })
        .catch(noneIfImpossible);
      return reply?.found ?? false;
    },
  };
}

/** What `first` knows, else what the keyring has. */
export function withKeyring(first: CredentialSource | undefined, keyring: Keyring): CredentialSource {
  return async (registry) => (await first?.(registry)) ?? (await keyring.find(registry));
}

/** A keyring that cannot be opened gives nothing: who never logged in must not fail by it, and a registry says itself whom it lets in. */
function noneIfImpossible(error: unknown): undefined {
  if (error instanceof NativeError && error.failure.code !== 'cancelled') return undefined;
  throw error;
}

function impossible(registry: string, error: unknown): unknown {
  if (!(error instanceof NativeError) || !['unsupported', 'no-space'].includes(error.failure.code)) return error;
  const why = error.failure.code === 'unsupported' ? 'the kernel gives no keyring here' : "the user's keyring is full";
  return new EngineError('KEYRING_IMPOSSIBLE', `Cannot keep the credentials of ${registry}: ${why}`, {
    cause: error,
    hint: 'name a credential helper in the Docker configuration, as {"credsStore": "pass"}: berth writes none to a file',
  });
}

function decode(bytes: Buffer): Credentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('username' in value) || !('password' in value)) return undefined;
  const { username, password } = value;
  if (typeof username !== 'string' || typeof password !== 'string') return undefined;
  const token = 'identityToken' in value && typeof value.identityToken === 'string' ? value.identityToken : undefined;
  return { username, password, ...(token === undefined ? {} : { identityToken: token }) };
}

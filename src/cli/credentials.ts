import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import {
  type Credentials,
  credentialsFromDockerConfig,
  type CredentialSource,
  EngineError,
  helperServerUrl,
  lookupDockerConfig,
} from '../../engine/index.ts';

/**
 * Credentials from an existing Docker configuration in `folder`, which is only ever read: of the registry's credential helper, of the
 * store of all registries, or of an entry of `auths`, each for exactly that host and port.
 */
export function dockerCredentials(
  folder: string,
  process: { readonly path: string; readonly home: string },
): CredentialSource {
  return async (registry) => {
    const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => undefined);
    const found = text === undefined ? undefined : lookupDockerConfig(credentialsFromDockerConfig(text), registry);
    if (found === undefined) return undefined;
    return 'helper' in found ? await askHelper(found.helper, helperServerUrl(registry), process) : found.credentials;
  };
}

/** Runs `docker-credential-NAME get` by its absolute path, with an environment of its own. */
async function askHelper(
  name: string,
  server: string,
  process: { readonly path: string; readonly home: string },
): Promise<Credentials | undefined> {
  const program = await findProgram(`docker-credential-${name}`, process.path);
  const output = await new Promise<string | undefined>((resolve, reject) => {
    const options = { env: { PATH: process.path, HOME: process.home }, timeout: 30_000, maxBuffer: 1024 * 1024 };
    const child = execFile(program, ['get'], options, (error, stdout) => {
      if (!error) resolve(stdout);
      // By the helpers' protocol this sentence means anonymous access, not a fault.
      else if (/credentials not found/i.test(stdout)) resolve(undefined);
      else
        reject(
          new EngineError('CREDENTIAL_HELPER', `Cannot get credentials of ${server}: ${program} failed`, {
            hint: `run: echo ${server} | ${program} get`,
          }),
        );
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(server);
  });
  return output === undefined ? undefined : parseAnswer(output, program);
}

function parseAnswer(output: string, program: string): Credentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(output);
  } catch {
    // Not the cause: it would quote the secret.
    throw new EngineError('CREDENTIAL_HELPER', `Cannot use the answer of ${program}: it is not JSON`);
  }
  if (typeof value !== 'object' || value === null || !('Username' in value) || !('Secret' in value)) return undefined;
  const { Username: username, Secret: secret } = value;
  if (typeof username !== 'string' || typeof secret !== 'string') return undefined;
  return username === '<token>'
    ? { username: '', password: '', identityToken: secret }
    : { username, password: secret };
}

async function findProgram(name: string, path: string): Promise<string> {
  if (/^[A-Za-z0-9._-]+$/.test(name)) {
    for (const folder of path.split(':').filter(isAbsolute)) {
      const program = join(folder, name);
      const found = await access(program, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return program;
    }
  }
  throw new EngineError(
    'CREDENTIAL_HELPER',
    `Cannot get credentials: ${JSON.stringify(name)} is not in any folder of PATH`,
    {
      hint: 'install it, or remove it from the Docker configuration',
    },
  );
}

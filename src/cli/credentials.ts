import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type Credentials, type CredentialSource, EngineError } from '../../engine/index.ts';

/** The part of Docker's `config.json` that is read; nothing is ever written to it. */
interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** Docker Hub under the names that Docker has written it with. */
const HUB_NAMES = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];

/**
 * Credentials from an existing Docker configuration in `folder`: a helper of the registry, the store of all registries, or an entry of
 * `auths`, each for exactly that host and port.
 */
export function dockerCredentials(
  folder: string,
  process: { readonly path: string; readonly home: string },
): CredentialSource {
  return async (registry) => {
    const config = await readConfig(join(folder, 'config.json'));
    const names = HUB_NAMES.includes(registry) ? HUB_NAMES : [registry, `https://${registry}`, `https://${registry}/`];
    const helper = names.map((name) => config.credHelpers?.[name]).find(Boolean) ?? config.credsStore;
    const key = names.find((name) => config.auths?.[name] !== undefined);
    const entry = key === undefined ? undefined : config.auths?.[key];
    const stored = entry ? decode(entry, registry) : undefined;
    if (stored || !helper) return stored;
    return await askHelper(helper, key ?? names[0] ?? registry, process);
  };
}

async function readConfig(path: string): Promise<DockerConfig> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    // Type: fields are looked at one by one below, and used only where they are strings.
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    throw new EngineError('INVALID_DOCKER_CONFIG', `Cannot read credentials from ${path}: it is not valid JSON`, {
      cause: error,
    });
  }
}

function decode(
  entry: { readonly auth?: unknown; readonly identitytoken?: unknown },
  registry: string,
): Credentials | undefined {
  const token = typeof entry.identitytoken === 'string' && entry.identitytoken !== '' ? entry.identitytoken : undefined;
  const text = typeof entry.auth === 'string' ? Buffer.from(entry.auth, 'base64').toString('utf8') : '';
  const at = text.indexOf(':');
  if (text !== '' && at < 1) {
    throw new EngineError(
      'INVALID_DOCKER_CONFIG',
      `Cannot use the stored credentials of ${registry}: "auth" is not base64 of user:password`,
    );
  }
  if (text === '' && token === undefined) return undefined;
  const [username, password] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1).replace(/\0+$/, '')];
  return { username, password, ...(token === undefined ? {} : { identityToken: token }) };
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

import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type Credentials, EngineError, helperServerUrl } from '../../engine/index.ts';

/** What a helper sees of this process: an environment of its own with these two. */
export interface HelperProcess {
  readonly path: string;
  readonly home: string;
}

/**
 * A credential helper by its protocol: `docker-credential-NAME get|store|erase`, run by its absolute path, with the words on its standard input.
 * Source: docker/docker-credential-helpers.
 */
export interface CredentialHelper {
  /** Undefined where it has none. */
  get(registry: string): Promise<Credentials | undefined>;
  store(registry: string, credentials: Credentials): Promise<void>;
  /** Whether it had any. */
  erase(registry: string): Promise<boolean>;
}

/** {@link CredentialHelper} for the suffix `name` of its program. Its methods throw `CREDENTIAL_HELPER`; no secret is part of a message. */
export function credentialHelper(name: string, process: HelperProcess): CredentialHelper {
  const ask = async (verb: string, registry: string, input: string): Promise<string | undefined> => {
    const program = await findProgram(`docker-credential-${name}`, process.path);
    return await run(program, { verb, server: helperServerUrl(registry), input }, process);
  };
  const get: CredentialHelper['get'] = async (registry) => {
    const answer = await ask('get', registry, helperServerUrl(registry));
    return answer === undefined ? undefined : parseAnswer(answer, name);
  };
  return {
    get,
    store: async (registry, { username, password, identityToken }) => {
      const entry = {
        ServerURL: helperServerUrl(registry),
        Username: identityToken === undefined ? username : TOKEN,
        Secret: identityToken ?? password,
      };
      await ask('store', registry, JSON.stringify(entry));
    },
    erase: async (registry) => {
      if ((await get(registry)) === undefined) return false;
      await ask('erase', registry, helperServerUrl(registry));
      return true;
    },
  };
}

/** The user name by which helpers know that the secret is a token. */
const TOKEN = '<token>';

/** Gives what it printed; undefined where it has nothing for the server. */
async function run(
  program: string,
  { verb, server, input }: { readonly verb: string; readonly server: string; readonly input: string },
  process: HelperProcess,
): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const options = { env: { PATH: process.path, HOME: process.home }, timeout: 30_000, maxBuffer: 1024 * 1024 };
    const child = execFile(program, [verb], options, (error, stdout) => {
      if (!error) resolve(stdout);
      // By the helpers' protocol this sentence means anonymous access, not a fault.
      else if (/credentials not found/i.test(stdout)) resolve(undefined);
      else reject(failure(program, verb, server));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

function failure(program: string, verb: string, server: string): EngineError {
  const act = { store: 'keep the credentials', erase: 'remove the credentials' }[verb] ?? 'get credentials';
  return new EngineError('CREDENTIAL_HELPER', `Cannot ${act} of ${server}: ${program} failed`, {
    hint: `run: echo ${server} | ${program} get`,
  });
}

function parseAnswer(output: string, name: string): Credentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(output);
  } catch {
    // Not the cause: it would quote the secret.
    throw new EngineError('CREDENTIAL_HELPER', `Cannot use the answer of docker-credential-${name}: it is not JSON`);
  }
  if (typeof value !== 'object' || value === null || !('Username' in value) || !('Secret' in value)) return undefined;
  const { Username: username, Secret: secret } = value;
  if (typeof username !== 'string' || typeof secret !== 'string') return undefined;
  return username === TOKEN ? { username: '', password: '', identityToken: secret } : { username, password: secret };
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

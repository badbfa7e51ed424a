import { type Credentials, EngineError, isEngineError, type Logins } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { dockerPlace } from '../credentials.ts';
import { text, toggle } from '../flags.ts';
import { ask, askHidden } from '../prompt.ts';
import { credentialFolder, helperProcess } from '../settings.ts';
import { OperandsError } from '../usage-error.ts';

const DOCKER_HUB = 'docker.io';

/** `berth login`: checks credentials at their registry, and keeps them where no disk has them. */
export const login = defineCommand({
  name: 'login',
  docs: 'Log in to a registry',
  operands: '[SERVER]',
  flags: {
    username: text('-u, --username NAME', 'user name'),
    password: text('-p, --password PASSWORD', 'password; other users of this machine can see it'),
    passwordStdin: toggle('--password-stdin', 'read the password from standard input'),
  },
  run: async (context, values, [server = '']) => {
    const registry = registryOf(server);
    const { logins } = await context.engine();
    const given = await givenCredentials(context, values);
    if (given === undefined && values.username === undefined && (await useExisting(context, logins, registry)))
      return 0;
    const credentials = given ?? (await prompted(context, registry, values.username));
    await logins.check(registry, credentials, { signal: context.signal });
    await keep(context, logins, registry, credentials);
    context.stdout.write('Login Succeeded\n');
    return 0;
  },
});

/** `berth logout`. */
export const logout = defineCommand({
  name: 'logout',
  docs: 'Log out of a registry',
  operands: '[SERVER]',
  flags: {},
  run: async (context, _values, [server = '']) => {
    const registry = registryOf(server);
    const { logins } = await context.engine();
    const place = await placeOf(context, registry);
    const inHelper = typeof place === 'object' && (await place.helper.erase(registry));
    const inKeyring = await logins.forget(registry);
    if (place === 'file') throw inFile(registry, credentialFolder(context));
    context.stdout.write(
      inHelper || inKeyring ? `Removing login credentials for ${registry}\n` : `Not logged in to ${registry}\n`,
    );
    return 0;
  },
});

/** What the flags say; undefined when a part is missing. */
async function givenCredentials(
  context: Context,
  {
    username,
    password,
    passwordStdin,
  }: {
    readonly username: string | undefined;
    readonly password: string | undefined;
    readonly passwordStdin: boolean;
  },
): Promise<Credentials | undefined> {
  if (passwordStdin) {
    if (password !== undefined)
      throw new OperandsError('conflicting options: cannot specify both --password and --password-stdin');
    if (!username) throw new OperandsError('the --password-stdin option requires --username to be set', '-u NAME');
    const { text: textOf } = await import('node:stream/consumers');
    const read = (await textOf(context.stdin)).replace(/\r?\n$/, '');
    if (read === '')
      throw new OperandsError('password is empty', 'cat password.txt | berth login -u NAME --password-stdin');
    return { username, password: read };
  }
  if (password === undefined) return undefined;
  context.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
  if (password === '') throw new OperandsError('password is empty');
  if (username) return { username, password };
  return { username: await askName(context), password };
}

/** Without a name, what is known already is tried first. */
async function useExisting(context: Context, logins: Logins, registry: string): Promise<boolean> {
  const known = await logins.find(registry);
  if (known === undefined) return false;
  context.stdout.write(
    `Authenticating with existing credentials...${known.username ? ` [Username: ${known.username}]` : ''}\n`,
  );
  try {
    await logins.check(registry, known, { signal: context.signal });
  } catch (error) {
    if (!isEngineError(error, 'REGISTRY_UNAUTHORIZED') || !context.stdin.isTTY) throw error;
    context.stderr.write('Login did not succeed, error: the registry refused the existing credentials\n');
    return false;
  }
  context.stdout.write('Login Succeeded\n');
  return true;
}

async function prompted(context: Context, registry: string, username: string | undefined): Promise<Credentials> {
  requireTerminal(context);
  if (!username) context.stdout.write(`Log in to ${registry}\n`);
  const name = username || (await askName(context));
  const password = await askHidden(context, 'Password: ');
  if (password === '') throw new OperandsError('password is required');
  return { username: name, password };
}

async function askName(context: Context): Promise<string> {
  requireTerminal(context);
  const name = (await ask(context, 'Username: ')).trim();
  if (name === '') throw new OperandsError('username is required');
  return name;
}

function requireTerminal({ stdin }: Context): void {
  if (stdin.isTTY) return;
  throw new OperandsError(
    'Cannot perform an interactive login from a non TTY device',
    'echo "$PASSWORD" | berth login -u NAME --password-stdin',
  );
}

/** In the registry's credential helper where one is named, else in the kernel's keyring. */
async function keep(context: Context, logins: Logins, registry: string, credentials: Credentials): Promise<void> {
  const place = await placeOf(context, registry);
  if (typeof place === 'object') return await place.helper.store(registry, credentials);
  // It counts before the keyring, so that other credentials there would never be used.
  if (place === 'file') throw inFile(registry, credentialFolder(context));
  await logins.keep(registry, credentials);
  context.stderr.write(
    'The credentials are kept in the memory of the kernel, for this user, until the machine restarts or berth logout\n',
  );
}

async function placeOf(context: Context, registry: string): ReturnType<typeof dockerPlace> {
  return await dockerPlace(credentialFolder(context), registry, helperProcess(context));
}

function inFile(registry: string, folder: string): EngineError {
  return new EngineError(
    'CREDENTIALS_IN_FILE',
    `Cannot change the credentials of ${registry}: ${folder}/config.json has them, which berth only reads`,
    { hint: `docker logout ${registry}, or remove its entry of "auths" there` },
  );
}

/** The host of a server as users give it: `ghcr.io`, `https://index.docker.io/v1/`. */
function registryOf(server: string): string {
  const host = server.replace(/^https?:\/\//, '').split('/', 1)[0] ?? '';
  return host === '' || host === 'index.docker.io' ? DOCKER_HUB : host;
}

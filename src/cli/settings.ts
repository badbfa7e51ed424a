import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { accountHome, type EngineOptions } from '../../engine/index.ts';
import type { Context } from './context.ts';
import type { HelperProcess } from './credential-helper.ts';
import { dockerCredentials } from './credentials.ts';
import type { FlagContext } from './flags.ts';
import { homeOf, homeOrNone } from './home.ts';
import { locateHelper } from './locate.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const RUNGS = ['auto', 'root', 'userns-full', 'userns', 'userns-single', 'chroot'] as const;
const SUDO = '/usr/bin/sudo';

/** The engine's options from the environment: the one place of the command line that reads it. @throws naming the variable */
export function readSettings(env: Environment, { uid }: { readonly uid: number }): EngineOptions {
  const lookup = (name: string): string | undefined => env[name];
  // What a job of strangers makes with this command line is theirs as well.
  const scope = env['BERTH_CACHE_SCOPE'] || undefined;
  const caFile = env['SSL_CERT_FILE'] || env['NODE_EXTRA_CA_CERTS'] || undefined;
  return {
    root: rootOf(env, uid),
    ...locateHelper(env['BERTH_NATIVE']),
    isolation: isolationOf(env['BERTH_ISOLATION'] || 'auto'),
    sudo: uid !== 0 && existsSync(SUDO) ? SUDO : undefined,
    mirrors: parseMirrors(env['BERTH_REGISTRY_MIRRORS'] ?? ''),
    credentials: dockerCredentials(configFolder(lookup), processOf(lookup)),
    caFile,
    cdiFolders: foldersOf('BERTH_CDI_FOLDERS', env['BERTH_CDI_FOLDERS']),
    httpProxy: env['HTTP_PROXY'] || env['http_proxy'] || undefined,
    httpsProxy: env['HTTPS_PROXY'] || env['https_proxy'] || undefined,
    noProxy: env['NO_PROXY'] || env['no_proxy'] || undefined,
    userAgent: `berth/${version()}`,
    cacheScope: scope,
    cacheMountScope: scope,
    git: { sudoUid: sudoUidOf(env, uid), isConfigElsewhere: isGitConfigElsewhere(env) },
  };
}

/** Whose files root may believe as git does; undefined for everybody else. */
function sudoUidOf({ SUDO_UID: text = '' }: Environment, uid: number): number | undefined {
  return uid === 0 && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Whether git would read a configuration that lies neither in the account's home nor in /etc (git(1), ENVIRONMENT). */
function isGitConfigElsewhere(env: Environment): boolean {
  const home = accountHome();
  const { HOME, XDG_CONFIG_HOME } = env;
  return (
    Object.keys(env).some((name) => /^GIT_(?:CONFIG|ATTR)/.test(name) && env[name] !== undefined) ||
    (HOME !== undefined && home !== undefined && HOME !== home) ||
    (Boolean(XDG_CONFIG_HOME) && XDG_CONFIG_HOME !== join(home ?? '/', '.config'))
  );
}

type Lookup = FlagContext['lookup'];

/** The folder of the Docker configuration. */
export function credentialFolder({ lookup, configFolder: given }: Pick<Context, 'lookup' | 'configFolder'>): string {
  return given ?? configFolder(lookup);
}

/** What credential helpers run with. */
export function helperProcess({ lookup }: Pick<Context, 'lookup'>): HelperProcess {
  return processOf(lookup);
}

function configFolder(lookup: Lookup): string {
  return lookup('DOCKER_CONFIG') || join(homeOrNone(lookup), '.docker');
}

function processOf(lookup: Lookup): HelperProcess {
  return { path: lookup('PATH') ?? '', home: homeOrNone(lookup) };
}

function rootOf(env: Environment, uid: number): string {
  const given = env['BERTH_ROOT'];
  if (given) {
    if (!isAbsolute(given)) throw new UsageError(`Cannot use BERTH_ROOT: "${given}" is not an absolute path`);
    return given;
  }
  if (uid === 0) return '/var/lib/berth';
  const data = env['XDG_DATA_HOME'];
  if (data && isAbsolute(data)) return join(data, 'berth');
  const home = homeOf((name) => env[name]);
  if (home === undefined) {
    throw new UsageError(
      `Cannot find the store: uid ${uid} has no home folder`,
      'set BERTH_ROOT to a folder of yours, or HOME',
    );
  }
  return join(home, '.local/share/berth');
}

/** Absolute folders with colons between them; undefined where nothing is said. */
function foldersOf(name: string, text: string | undefined): readonly string[] | undefined {
  if (!text) return undefined;
  const folders = text.split(':').filter(Boolean);
  const wrong = folders.find((folder) => !isAbsolute(folder));
  if (wrong !== undefined) throw new UsageError(`Cannot use ${name}: "${wrong}" is not an absolute path`);
  return folders;
}

/** A rung by its name. @throws naming the known ones */
export function isolationOf(word: string): EngineOptions['isolation'] {
  const found = RUNGS.find((rung) => rung === word);
  if (found) return found;
  throw new UsageError(`Cannot use isolation "${word}": there is no such rung`, `use one of ${RUNGS.join(', ')}`);
}

/** `docker.io=http://127.0.0.1:5000,ghcr.io=https://mirror.example`. */
export function parseMirrors(text: string): Readonly<Record<string, string>> {
  const entries = text
    .split(',')
    .filter(Boolean)
    .map((entry): [string, string] => {
      const [registry = '', url = '', ...rest] = entry.trim().split('=');
      if (registry === '' || rest.length > 0 || !/^https?:\/\/[^/\s]+/.test(url)) {
        throw new UsageError(
          `Cannot use BERTH_REGISTRY_MIRRORS: "${entry}" is not of the form registry=http(s)://host:port`,
        );
      }
      return [registry, url.replace(/\/+$/, '')];
    });
  return Object.fromEntries(entries);
}

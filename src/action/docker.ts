import { request } from 'node:http';
import { isAbsolute } from 'node:path';
import { EngineError, messageOf } from '../../engine/index.ts';

/** A Docker daemon on this machine. */
export interface Docker {
  /** Path of its socket. */
  readonly socket: string;
}

const DEFAULT = '/var/run/docker.sock';
const INSTEAD = 'Write oci-layout: image instead of load: true, and give that folder to the tool';
const PING_TIME = 5000;
const MAX_ANSWER = 64 * 1024;

/**
 * The daemon that `load: true` hands the image to, asked before anything is built.
 *
 * @param host DOCKER_HOST
 * @throws `DOCKER_ABSENT` naming `oci-layout` when none answers
 */
export async function findDocker(host: string | undefined, signal: AbortSignal): Promise<Docker> {
  const socket = socketOf(host);
  try {
    const { status } = await call(socket, {
      method: 'GET',
      path: '/_ping',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PING_TIME)]),
    });
    if (status !== 200) throw new Error(`it answers ${status}`);
    return { socket };
  } catch (error) {
    signal.throwIfAborted();
    throw new EngineError(
      'DOCKER_ABSENT',
      `Cannot load the image into Docker: no daemon answers at ${socket} (${messageOf(error)})`,
      {
        hint: INSTEAD,
        cause: error,
      },
    );
  }
}

/** Docker's image store as it comes takes one image, and no index of several. */
export function indexForDocker(): EngineError {
  return new EngineError('INPUT_REFUSED', "Cannot use input 'load' with several platforms: Docker takes one image", {
    hint: 'Delete the line, or write oci-layout: image, which holds the images of all platforms',
  });
}

/**
 * A `docker load` of the archive that `save` writes.
 *
 * @throws `DOCKER_LOAD` with what the daemon said
 */
export async function loadIntoDocker(
  { socket }: Docker,
  save: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { status, text } = await call(socket, { method: 'POST', path: '/images/load?quiet=1', signal, save }).catch(
    (error: unknown) => {
      signal.throwIfAborted();
      throw error instanceof EngineError ? error : refused(messageOf(error), error);
    },
  );
  const problem = errorIn(text);
  if (status !== 200 || problem !== undefined) throw refused(problem ?? `it answered ${status}`, undefined);
}

function socketOf(host: string | undefined): string {
  if (!host) return DEFAULT;
  const path = host.startsWith('unix://') ? host.slice('unix://'.length) : '';
  if (isAbsolute(path)) return path;
  throw new EngineError(
    'DOCKER_ABSENT',
    `Cannot load the image into Docker: DOCKER_HOST is ${host.replace(/\/\/[^@/]*@/, '//')}, and only a unix:// socket is spoken to`,
    {
      hint: INSTEAD,
    },
  );
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly signal: AbortSignal;
  readonly save?: ((write: (chunk: Uint8Array) => Promise<void>) => Promise<void>) | undefined;
}

async function call(
  socket: string,
  { method, path, signal, save }: Call,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = save ? { 'content-type': 'application/x-tar' } : {};
  const outgoing = request({ socketPath: socket, method, path, headers, signal });
  const answered = new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (message) => {
      let text = '';
      message.setEncoding('utf8');
      message.on('data', (chunk: string) => (text = (text + chunk).slice(-MAX_ANSWER)));
      message.on('end', () => resolve({ status: message.statusCode ?? 0, text }));
      message.on('error', reject);
    });
  });
  const sent = save ? send(outgoing, save) : Promise.resolve();
  if (!save) outgoing.end();
  // A daemon that refuses early says why in its answer; what could not be sent any more says less.
  const outcome = await Promise.race([answered, sent.then(() => answered)]);
  return outcome;
}

async function send(
  outgoing: ReturnType<typeof request>,
  save: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  try {
    await save(
      (chunk) =>
        new Promise((done, failed) => {
          outgoing.write(chunk, (error) => (error ? failed(error) : done()));
        }),
    );
    outgoing.end();
  } catch (error) {
    outgoing.destroy();
    throw error;
  }
}

/** The last error of a stream of JSON lines. */
function errorIn(text: string): string | undefined {
  for (const line of text.split('\n').reverse()) {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'string')
        return value.error;
      if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string')
        return value.message;
    } catch {
      // Not JSON: then it is no error of the daemon's.
    }
  }
  return undefined;
}

function refused(why: string, cause: unknown): EngineError {
  return new EngineError('DOCKER_LOAD', `Cannot load the image into Docker: ${why.slice(0, 500)}`, {
    hint: INSTEAD,
    cause,
  });
}

import { once } from 'node:events';
import { isIP } from 'node:net';
import { defineCommand } from '../command.ts';
import { single } from '../flags.ts';
import { UsageError } from '../usage-error.ts';

const DEFAULT = { host: '127.0.0.1', port: 5000 };

/** `berth registry serve`: the store over the distribution API, until a signal comes. */
export const serve = defineCommand({
  name: 'serve',
  docs: 'Serve the store as a registry on loopback, until interrupted',
  operands: '',
  flags: {
    listen: single('--listen HOST:PORT', 'where to listen (default 127.0.0.1:5000; port 0 chooses one)', parseListen),
  },
  run: async (context, { listen = DEFAULT }) => {
    const engine = await context.engine();
    const server = await engine.serveRegistry({ ...listen, signal: context.signal });
    context.stdout.write(`http://${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}\n`);
    if (!context.signal.aborted) await once(context.signal, 'abort');
    await server.close();
    return 0;
  },
});

function parseListen(word: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(.+)\]|([^:]*)):(\d{1,5})$/.exec(word);
  const host = match?.[1] ?? (match?.[2] || DEFAULT.host);
  const port = Number(match?.[3]);
  if (!match || port > 65_535 || (isIP(host) === 0 && host !== 'localhost'))
    throw new UsageError('wanted address:port');
  return { host, port };
}

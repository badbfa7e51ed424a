import { isEngineError } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { count, text, toggle } from '../flags.ts';
import { each } from './each.ts';

/** `berth stop`. */
export const stop = defineCommand({
  name: 'stop',
  docs: 'Stop running containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {
    signal: text('-s, --signal SIGNAL', 'signal to send'),
    timeout: count('-t, --timeout SECONDS', 'seconds to wait before killing'),
    time: count('--time SECONDS', 'older name of --timeout'),
  },
  run: async (context, { signal, timeout, time }, names) => {
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      await containers.stop(name, { signal, seconds: timeout ?? time });
      return name;
    });
  },
});

/** `berth kill`. */
export const kill = defineCommand({
  name: 'kill',
  docs: 'Send a signal to running containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: { signal: text('-s, --signal SIGNAL', 'signal to send (default SIGKILL)') },
  run: async (context, { signal }, names) => {
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      await containers.kill(name, signal);
      return name;
    });
  },
});

/** `berth wait`. */
export const wait = defineCommand({
  name: 'wait',
  docs: 'Wait until containers end, and print their exit codes',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {},
  run: async (context, _values, names) => {
    const { containers } = await context.engine();
    return await each(context, names, async (name) => String(await containers.wait(name)));
  },
});

/** `berth rm`. */
export const rm = defineCommand({
  name: 'rm',
  docs: 'Remove containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {
    force: toggle('-f, --force', 'kill a running container first'),
    volumes: toggle('-v, --volumes', 'remove its anonymous volumes as well'),
  },
  refused: ['l', 'link'],
  run: async (context, { force, volumes }, names) => {
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      try {
        await containers.remove(name, { force, volumes });
      } catch (error) {
        // As with Docker, `rm -f` of what is not there says so and is no fault.
        if (!force || !isEngineError(error, 'CONTAINER_NOT_FOUND')) throw error;
        context.stderr.write(`berth: ${error.message}\n`);
        return undefined;
      }
      return name;
    });
  },
});

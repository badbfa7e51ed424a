import { isEngineError, type Engine } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { patience, text, toggle } from '../flags.ts';
import { each } from './each.ts';

/** How a process is asked to end. */
const STOP_FLAGS = {
  signal: text('-s, --signal SIGNAL', 'signal to send'),
  timeout: patience('-t, --timeout SECONDS', 'seconds to wait before killing; -1 without end'),
  time: patience('--time SECONDS', 'older name of --timeout'),
};

/** `berth stop`. */
export const stop = defineCommand({
  name: 'stop',
  docs: 'Stop running containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: STOP_FLAGS,
  run: async (context, { signal, timeout, time }, names) => {
    return await toEach(
      context,
      names,
      async (containers, name) => await containers.stop(name, { signal, seconds: timeout ?? time }),
    );
  },
});

/** `berth restart`. */
export const restart = defineCommand({
  name: 'restart',
  docs: 'Stop containers and start them again',
  operands: 'CONTAINER [CONTAINER...]',
  flags: STOP_FLAGS,
  run: async (context, { signal, timeout, time }, names) => {
    return await toEach(
      context,
      names,
      async (containers, name) => await containers.restart(name, { signal, seconds: timeout ?? time }),
    );
  },
});

/** `berth pause`. */
export const pause = defineCommand({
  name: 'pause',
  docs: 'Let all processes of containers stand still',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {},
  run: async (context, _values, names) => {
    return await toEach(context, names, async (containers, name) => await containers.pause(name));
  },
});

/** `berth unpause`. */
export const unpause = defineCommand({
  name: 'unpause',
  docs: 'Let the processes of paused containers go on',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {},
  run: async (context, _values, names) => {
    return await toEach(context, names, async (containers, name) => await containers.unpause(name));
  },
});

/** `berth rename`. */
export const rename = defineCommand({
  name: 'rename',
  docs: 'Give a container another name',
  operands: 'CONTAINER NEW_NAME',
  flags: {},
  run: async (context, _values, [name = '', other = '']) => {
    const { containers } = await context.engine();
    await containers.rename(name, other);
    return 0;
  },
});

/** `berth kill`. */
export const kill = defineCommand({
  name: 'kill',
  docs: 'Send a signal to running containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: { signal: text('-s, --signal SIGNAL', 'signal to send (default SIGKILL)') },
  run: async (context, { signal }, names) => {
    return await toEach(context, names, async (containers, name) => await containers.kill(name, signal));
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

/** Does `act` to each container, and prints the name of each with which it went well. */
async function toEach(
  context: Context,
  names: readonly string[],
  act: (containers: Engine['containers'], name: string) => Promise<unknown>,
): Promise<number> {
  const { containers } = await context.engine();
  return await each(context, names, async (name) => {
    await act(containers, name);
    return name;
  });
}

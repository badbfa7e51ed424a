import { outputOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import { orNothing, single, toggle } from '../flags.ts';
import { parseCount } from '../values/numbers.ts';
import { parseMoment } from '../values/time.ts';

/** `berth logs`. */
export const logs = defineCommand({
  name: 'logs',
  docs: 'Show the output of a container',
  operands: 'CONTAINER',
  flags: {
    details: toggle('--details', 'show what the log driver adds to lines (json-file adds nothing)'),
    follow: toggle('-f, --follow', 'go on until the container ends'),
    since: orNothing(
      single('--since TIME', 'from a time, or a duration ago (10m)', (word) => parseMoment(word, Date.now())),
    ),
    tail: orNothing(
      single('-n, --tail NUMBER', 'only the last lines, or all', (word) =>
        // Docker takes a number below nothing for all.
        word === 'all' || /^-\d+$/.test(word) ? undefined : parseCount(word),
      ),
    ),
    timestamps: toggle('-t, --timestamps', 'show when each line was written'),
    until: orNothing(
      single('--until TIME', 'up to a time, or a duration ago', (word) => parseMoment(word, Date.now())),
    ),
  },
  run: async (context, { details, follow, since, tail, timestamps, until }, [container = '']) => {
    const { containers } = await context.engine();
    await containers.logs(container, {
      details,
      follow,
      since,
      tail,
      timestamps,
      until,
      signal: context.signal,
      ...outputOf(context),
    });
    return 0;
  },
});

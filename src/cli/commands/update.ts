import { defineCommand } from '../command.ts';
import { single } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseRestart } from '../values/restart.ts';
import { each } from './each.ts';
import { LIMIT_FLAGS, toLimits } from './limit-flags.ts';

/** `berth update`. */
export const update = defineCommand({
  name: 'update',
  docs: 'Change limits and the restart policy of containers',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {
    ...LIMIT_FLAGS,
    restart: single('--restart POLICY', 'no, on-failure[:n], always or unless-stopped', parseRestart),
  },
  refused: ['blkio-weight', 'cpu-rt-period', 'cpu-rt-runtime', 'kernel-memory'],
  run: async (context, values, names) => {
    const limits = toLimits(values);
    if (!limits && !values.restart) {
      throw new UsageError('you must provide one or more flags when using this command', 'berth update --help');
    }
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      await containers.update(name, { limits, restart: values.restart });
      return name;
    });
  },
});

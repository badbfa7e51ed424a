import type { Restart } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { text } from '../flags.ts';
import { OperandsError, UsageError } from '../usage-error.ts';
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
    restart: text('--restart POLICY', 'no, on-failure[:n], always or unless-stopped'),
  },
  refused: ['cpu-rt-period', 'cpu-rt-runtime', 'kernel-memory'],
  run: async (context, values, names) => {
    const limits = toLimits(values);
    const restart = restartOf(values.restart);
    if (!limits && !restart) {
      throw new OperandsError('you must provide one or more flags when using this command', 'berth update --help');
    }
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      await containers.update(name, { limits, restart });
      return name;
    });
  },
});

/** Read after the flags, as Docker's daemon does: exit code 1 for a policy that is none. */
function restartOf(word: string | undefined): Restart | undefined {
  try {
    return word === undefined ? undefined : parseRestart(word);
  } catch (error) {
    throw error instanceof UsageError ? new OperandsError(`Cannot update: ${error.message}`, error.hint) : error;
  }
}

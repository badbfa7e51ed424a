import { defineCommand } from '../command.ts';
import { completionScript, SHELLS } from '../completion.ts';
import { UsageError } from '../usage-error.ts';

/** `berth completion bash`: the script that completes words in a shell. */
export const completion = defineCommand({
  name: 'completion',
  docs: 'Print the script that completes words: source <(berth completion bash)',
  operands: 'SHELL',
  flags: {},
  run: async ({ stdout }, _values, [word = '']) => {
    const shell = SHELLS.find((name) => name === word);
    if (shell === undefined) throw new UsageError(`Cannot complete in ${word}: wanted one of ${SHELLS.join(', ')}`);
    // Not at the top: that table holds this command.
    const { COMMANDS, GROUPS } = await import('../commands.ts');
    stdout.write(completionScript(shell, { commands: COMMANDS, groups: GROUPS }));
    return 0;
  },
});

import * as core from '@actions/core';
import { createCommands, type Commands } from './commands.ts';

/** The runner as main and post speak to it: commands on stdout, and its files through @actions/core. */
export interface Runner {
  readonly commands: Commands;
  setOutput(name: string, value: string): void;
  saveState(name: string, value: string): void;
  addPath(folder: string): void;
  exportVariable(name: string, value: string): void;
  /** Appends Markdown to the job summary; nothing where the runner has none. */
  addSummary(text: string): Promise<void>;
}

/** @param env tells whether the runner gives a summary file */
export function createRunner(env: Readonly<Record<string, string | undefined>>): Runner {
  const commands = createCommands((text) => void process.stdout.write(text));
  return {
    commands,
    // Its file commands have random delimiters; on runners without those files it prints commands, which must be obeyed.
    setOutput: (name, value) => commands.resumed(() => core.setOutput(name, value)),
    saveState: (name, value) => commands.resumed(() => core.saveState(name, value)),
    addPath: (folder) => commands.resumed(() => core.addPath(folder)),
    exportVariable: (name, value) => commands.resumed(() => core.exportVariable(name, value)),
    addSummary: async (text) => {
      if (env['GITHUB_STEP_SUMMARY']) await core.summary.addRaw(text, true).write();
    },
  };
}

import type { ContainerConfig } from '../image/types.ts';

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** A command in the shell form: the SHELL of the stage runs it. */
export function withShell(config: ContainerConfig, command: readonly string[]): readonly string[] {
  const shell = config.Shell && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;
  return [...shell, command.join(' ')];
}

/** Seconds after which V8 may have found something to compile on other threads. */
const SHORT = 0.25;
/** Its compilers there. */
const COMPILERS = ['maglev', 'opt', 'concurrent-sparkplug'];

/**
 * Ends the process. Not `process.exit` at once: what was written to a pipe may still be on its way. A socket that a registry keeps open must
 * not hold us.
 */
export function leave(exitCode: number): void {
  process.exitCode = exitCode;
  if (process.uptime() > SHORT) stopCompiling();
  process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
}

/**
 * Node waits for V8's threads at its end, and one that compiles may wait for memory that only this thread can collect: for ever, once it has
 * left (nodejs/node#54918). So none begins from here on, and what runs has until the last words are out.
 */
function stopCompiling(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const compiler of COMPILERS) setFlagsFromString(`--no-${compiler}`);
}

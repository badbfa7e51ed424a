import type { ContainerConfig, Ended } from '../../engine/index.ts';
import { describeEnd } from './ended.ts';
import type { Check, ShutdownResult } from './report.ts';
import type { Shutdown } from './spec.ts';

/** What the end tells of the way a server stops. */
export function shutdownResult(ended: Ended, seconds: number, timeoutSeconds: number): ShutdownResult {
  const killed = ended.signal === 'SIGKILL' || ended.exitCode === 137;
  return {
    exitCode: ended.exitCode,
    signal: ended.signal,
    seconds,
    forced: killed && !ended.oomKilled && seconds >= timeoutSeconds * 0.9,
  };
}

/** Judges it: without `shutdown:` in the spec a bad end is a warning. */
export function shutdownCheck(ended: Ended, result: ShutdownResult, wanted: Shutdown, config: ContainerConfig): Check {
  const good = !result.forced && result.exitCode !== null && wanted.exitCodes.includes(result.exitCode);
  const base = { name: 'shutdown', milliseconds: result.seconds * 1000, location: wanted.location };
  if (good) return { ...base, status: 'passed', summary: `exited with ${result.exitCode ?? 0}` };
  const got = result.forced
    ? `did not stop within ${wanted.timeoutSeconds} s of ${config.StopSignal ?? 'SIGTERM'} and was killed`
    : describeEnd(ended).replace(' early', '');
  return {
    ...base,
    status: wanted.required ? 'failed' : 'warning',
    ...(wanted.required ? { reason: 'not-graceful' as const } : {}),
    summary: got,
    hint: hintOf(config, result),
    failure: {
      problems: [`shutdown: wanted exit code ${wanted.exitCodes.join(' or ')}, got a process that ${got}`],
    },
  };
}

function hintOf(config: ContainerConfig, { forced }: ShutdownResult): string | undefined {
  if (!forced) return undefined;
  const [program, flag] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (program?.endsWith('sh') === true && flag === '-c') {
    return 'Process 1 is a shell, which does not pass signals on: write CMD and ENTRYPOINT as lists, ["uvicorn", "app:app"]';
  }
  return 'The kernel ignores a signal that process 1 does not handle: handle it in the server, or start it by an init such as tini';
}

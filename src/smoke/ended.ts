import type { Ended } from '../../engine/index.ts';
import type { TestContainer } from './container.ts';
import type { Check, ExitReason } from './report.ts';
import type { Mask } from './text.ts';

/** The failed check of a process that ended although a service was expected, with what its log tells of the cause. */
export function endedCheck(
  container: TestContainer,
  ended: Ended,
  { mask, mark = 0 }: { readonly mask: Mask; readonly mark?: number },
): Check {
  const { reason, hint } = causeOf(ended, container.log.text());
  const summary = describeEnd(ended);
  return {
    name: 'process',
    status: 'failed',
    reason,
    summary,
    hint,
    failure: {
      problems: [`wanted a running service, got a process that ${summary}`],
      log: lastLines(container, mark).map(mask),
    },
  };
}

/** `exited early with 1`, `was killed by SIGSEGV`. */
export function describeEnd(ended: Ended): string {
  if (ended.oomKilled) return 'was killed for want of memory (OOM)';
  if (ended.signal !== null) return `was killed by ${ended.signal}`;
  return ended.exitCode === null ? 'vanished' : `exited early with ${ended.exitCode}`;
}

/** What happened since the request, or, when it died without another word, the end of the log. */
function lastLines(container: TestContainer, mark: number): readonly string[] {
  const since = container.log.since(mark);
  return since.length > 0 ? since : container.log.since(0);
}

const CAUSES: readonly { readonly pattern: RegExp; readonly reason: ExitReason; readonly hint: string }[] = [
  {
    pattern: /libcuda\.so\.1|CUDA driver version is insufficient|Found no NVIDIA driver|No CUDA GPUs are available/,
    reason: 'gpu-missing',
    hint: 'This image needs a GPU: set `run: { env: { CUDA_VISIBLE_DEVICES: "" } }` if it can use the CPU, or test it on a runner with one',
  },
  {
    pattern:
      /Temporary failure in name resolution|Name or service not known|Could not resolve host|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|Network is unreachable/,
    reason: 'needs-network',
    hint: 'A smoke test has no way out to the network: put the model into the image (HF_HUB_OFFLINE=1 shows what is missing)',
  },
];

/** Why a server died, as far as the kernel or its log tells. */
export function causeOf(
  ended: Ended | undefined,
  log: string,
): { readonly reason: ExitReason; readonly hint?: string | undefined } {
  if (ended?.oomKilled) return { reason: 'oom-killed', hint: 'Give the runner more memory, or load a smaller model' };
  const known = CAUSES.find(({ pattern }) => pattern.test(log));
  if (known !== undefined) return known;
  return { reason: 'process-exited', hint: hintOf(ended) };
}

function hintOf(ended: Ended | undefined): string | undefined {
  if (ended?.exitCode === 0)
    return 'A service has to stay in the foreground: is the command right, or does it start a daemon?';
  if (ended?.exitCode === 127) return 'The command was not found in the image';
  if (ended?.exitCode === 126) return 'The command is not executable';
  return undefined;
}

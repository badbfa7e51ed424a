import type { TestContainer } from './container.ts';
import { causeOf, endedCheck } from './ended.ts';
import type { Readiness } from './ready.ts';
import type { Check } from './report.ts';
import type { Mask } from './text.ts';

/** The row of what waiting for readiness came to. */
export async function readyCheck(container: TestContainer, ready: Readiness, mask: Mask): Promise<Check> {
  if (ready.kind === 'ready') {
    const summary = `GET ${ready.path} on port ${ready.port} → ${ready.status}`;
    const base = { name: 'ready', milliseconds: ready.seconds * 1000 };
    if (ready.insteadOf === undefined) return { ...base, status: 'passed', summary };
    const hint = 'Name the preset, or write `readinessProbe: { httpGet: { path: … } }`';
    return {
      ...base,
      status: 'warning',
      summary: mask(`${summary}; ${ready.insteadOf}, where such a server is asked`),
      hint,
    };
  }
  if (ready.kind === 'ended') return { ...endedCheck(container, await container.whenEnded, { mask }), name: 'ready' };
  // A server that hangs may have said why.
  const cause = ready.reason === 'not-ready' ? causeOf(undefined, container.log.text()) : undefined;
  const known = cause !== undefined && cause.reason !== 'process-exited' ? cause : undefined;
  return {
    name: 'ready',
    status: 'failed',
    reason: known?.reason ?? ready.reason,
    summary: mask(ready.message),
    hint: known?.hint ?? ready.hint,
    failure: { problems: [mask(ready.message)], log: container.log.since(0).map(mask) },
  };
}

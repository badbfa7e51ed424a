import type { OnEvent } from '../../engine/index.ts';
import { checkBatch } from './batch.ts';
import { COMMAND_VERTEX, runTestCommand, type CommandHost } from './command.ts';
import { endedCheck } from './ended.ts';
import type { ExerciseContext } from './exercise.ts';
import { runLoad } from './load-run.ts';
import type { Check } from './report.ts';
import type { RequestItem, SmokeSpec } from './spec.ts';
import { track } from './track.ts';

/** What `batch`, `load` and `test-command` are run with. */
export interface ExtraContext extends ExerciseContext {
  /** The request that a load repeats unless it names another. */
  readonly predict: RequestItem | undefined;
  readonly host?: CommandHost | undefined;
  /** Added to the environment of the command. */
  readonly env: Readonly<Record<string, string>>;
  readonly onEvent?: OnEvent | undefined;
}

/** What came of them. */
export interface Extras {
  readonly checks: readonly Check[];
  /** Name of the request that was under load, and the milliseconds of its answers. */
  readonly load?: { readonly name: string; readonly durations: readonly number[] } | undefined;
}

/** Batch, load, and the command of the user, in this order, each only when the server still runs (smoke-test.md 4.4 rule 1). */
export async function runExtras(spec: SmokeSpec, context: ExtraContext): Promise<Extras> {
  const checks: Check[] = [];
  let load: Extras['load'];
  const step = async (
    vertex: { readonly id: string; readonly name: string },
    act: () => Promise<Check>,
  ): Promise<void> => {
    const check = await track(vertex, context.onEvent, () => alive(context, act), errorOf);
    checks.push(check);
  };
  const { batch, load: wanted, testCommand } = spec;
  if (batch) await step({ id: 'smoke/batch', name: 'batch' }, () => checkBatch(batch, context));
  const item =
    wanted && (spec.requests.find(({ name }) => name === wanted.request) ?? context.predict ?? spec.requests[0]);
  if (wanted && item)
    await step({ id: 'smoke/load', name: 'load' }, async () => {
      const { check, durations } = await runLoad(wanted, item, context);
      load = { name: item.name, durations };
      return check;
    });
  if (testCommand) {
    const { host } = context;
    if (host === undefined) throw new Error('a smoke test with a test-command needs a host to run it');
    await step({ id: COMMAND_VERTEX, name: 'test-command' }, () => runTestCommand(testCommand, host, context));
  }
  return { checks, load };
}

/** Runs `act`; a server that died of it is the failure, whatever else was seen. */
async function alive({ container, mask }: ExtraContext, act: () => Promise<Check>): Promise<Check> {
  const mark = container.log.mark();
  const before = container.ended();
  if (before !== undefined) return { name: 'process', status: 'skipped', summary: 'not tried: the process has ended' };
  const check = await act();
  const ended = container.ended();
  return ended === undefined ? check : { ...endedCheck(container, ended, { mask, mark }), name: check.name };
}

function errorOf({ status, summary }: Check): string | undefined {
  return status === 'failed' ? summary : undefined;
}

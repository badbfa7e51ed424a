import { isEngineError } from '../../../engine/index.ts';
import type { Context } from '../context.ts';
import { reportError } from '../report-error.ts';

/**
 * Does `act` for each operand; one that fails is reported and does not keep the others from their turn. Exit code 1 when any failed, but for
 * errors of the code `forgive`, which are told and no fault.
 */
export async function each(
  context: Context,
  operands: readonly string[],
  act: (operand: string) => Promise<string | undefined>,
  { forgive }: { readonly forgive?: string } = {},
): Promise<number> {
  let exitCode = 0;
  for (const operand of operands) {
    try {
      const line = await act(operand);
      if (line !== undefined) context.stdout.write(`${line}\n`);
    } catch (error) {
      if (!isEngineError(error) || context.signal.aborted) throw error;
      reportError(error, context.stderr);
      if (error.code !== forgive) exitCode = 1;
    }
  }
  return exitCode;
}

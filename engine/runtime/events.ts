import type { Act, Events } from '../engine.ts';
import type { Connection } from './dependencies.ts';

/** {@link Events} on the helper's journal. */
export function createEvents(connect: () => Promise<Connection>, announce: Events['announce']): Events {
  return {
    read: async (options) => await readEvents(await connect(), options),
    announce,
  };
}

async function readEvents(
  { helper }: Connection,
  { follow = false, signal, onAct }: Parameters<Events['read']>[0],
): Promise<void> {
  let rest = '';
  const decoder = new TextDecoder();
  const onData = (chunk: Uint8Array): void => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const act of lines.map(parse)) if (act) onAct(act);
  };
  await helper.call('events', { follow }, { onData, signal });
}

/** The exit code of a container that is gone, as the journal tells it; undefined where it does not. */
export async function toldEnd(connection: Connection, id: string): Promise<number | undefined> {
  let told: number | undefined;
  await readEvents(connection, {
    onAct: ({ kind, action, id: of, attributes: { exitCode } }) => {
      if (kind === 'container' && action === 'die' && of === id && exitCode !== undefined) told = Number(exitCode);
    },
  });
  return told;
}

/** A line that a crash cut off is left out. */
function parse(line: string): Act | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // Type: only the helper writes the journal, in the one form.
    return typeof value === 'object' && value !== null && 'action' in value ? (value as Act) : undefined;
  } catch {
    return undefined;
  }
}

import type { Act, Events } from '../engine.ts';
import type { Connection } from './dependencies.ts';

/** {@link Events} on the helper's journal. */
export function createEvents(connect: () => Promise<Connection>, announce: Events['announce']): Events {
  return {
    read: async ({ follow = false, signal, onAct }) => {
      const { helper } = await connect();
      let rest = '';
      const decoder = new TextDecoder();
      const onData = (chunk: Uint8Array): void => {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const act of lines.map(parse)) if (act) onAct(act);
      };
      await helper.call('events', { follow }, { onData, signal });
    },
    announce,
  };
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

import { posix } from 'node:path';
import type { Place } from '../dockerfile/index.ts';
import { locationOf, type Conversion } from './conversion.ts';
import { vertexId } from './id.ts';
import { contextSource, literal } from './path.ts';
import type { StageState } from './state.ts';
import type { CopyFileAction, NamedSource, Op, VertexId } from './types.ts';

/**
 * The part of the context that a RUN mounts, as a copy on nothing: so it holds what a COPY would take, with the owners that COPY gives, and
 * nothing that a step writes reaches the user's files.
 *
 * @param source imagePath, with the context as root
 */
export function contextVertex(
  conversion: Conversion,
  state: StageState,
  place: Place,
  { from, source }: { readonly from: 'context' | NamedSource; readonly source: string },
): VertexId {
  const location = locationOf(conversion, place);
  const scratch = addInternal(conversion, state, place, { op: { type: 'scratch' }, inputs: [], name: 'FROM scratch' });
  const action: CopyFileAction = {
    action: 'copy',
    from,
    sources: [literal(contextSource(source))],
    dest: source,
    destIsDirectory: false,
    unpack: false,
    isMount: true,
    location,
  };
  const whole = from === 'context' ? 'the build context' : `the context ${from.name}`;
  const name = `[internal] mount ${source === '/' ? whole : `${posix.relative('/', source)} of ${whole}`}`;
  return addInternal(conversion, state, place, { op: { type: 'file', actions: [action] }, inputs: [scratch], name });
}

function addInternal(
  conversion: Conversion,
  { platform, label }: StageState,
  place: Place,
  { op, inputs, name }: { readonly op: Op; readonly inputs: readonly VertexId[]; readonly name: string },
): VertexId {
  const location = locationOf(conversion, place);
  const id = vertexId(op, inputs, platform);
  return conversion.vertices.add({
    id,
    op,
    inputs,
    name,
    stage: label,
    platform,
    location,
    ignoreCache: false,
    internal: true,
  });
}

import type { Place } from '../dockerfile/index.ts';
import { stateOf, type Conversion } from './conversion.ts';
import { copySource } from './reference.ts';
import type { StageState } from './state.ts';
import { addSource } from './step.ts';
import type { NamedSource, VertexId } from './types.ts';

/** Where files come from beside the context: the vertex of a stage or an image, or a named context. */
export type FromSource = { readonly type: 'vertex'; readonly vertex: VertexId } | NamedSource;

/**
 * What `--from` of COPY, or `from` of a mount, means in a stage.
 *
 * @throws DockerfileError
 */
export function fromSource(
  conversion: Conversion,
  state: StageState,
  place: Place & { readonly from: string },
): FromSource {
  const stage = copySource(conversion.source, state.stage, place);
  if (stage) return { type: 'vertex', vertex: stateOf(conversion, stage.index).vertex };
  const source = state.sources.get(place.from);
  if (!source) throw new Error(`from=${place.from} was not resolved`);
  if (source.type === 'files') return { type: 'named', name: source.name };
  return { type: 'vertex', vertex: addSource(conversion, state, place, source) };
}

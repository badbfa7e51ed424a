import { EngineError } from '../../base/errors.ts';

/** What `--network` asks for. */
export type NetworkMode =
  | { readonly kind: 'host' | 'none' | 'private' }
  /** Networks of the store by name or id. */
  | { readonly kind: 'bridge'; readonly networks: readonly string[] }
  | { readonly kind: 'container'; readonly container: string };

/** The network that containers get when nobody names one. */
export const DEFAULT_NETWORK = 'bridge';
/** Names that are no networks of the store. */
const ALONE = new Set(['host', 'none', 'private']);

/** Reads what was asked for; the default network when nothing was. @throws `NETWORK_INVALID` for what excludes each other */
export function parseMode(asked: readonly string[]): NetworkMode {
  const names = asked.map((name) => (name === '' || name === 'default' ? DEFAULT_NETWORK : name));
  const alone = names.find((name) => ALONE.has(name) || name.startsWith('container:'));
  if (alone === undefined)
    return { kind: 'bridge', networks: names.length > 0 ? [...new Set(names)] : [DEFAULT_NETWORK] };
  if (names.length > 1) {
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use several networks: conflicting options: ${alone} cannot be combined with another network`,
      { hint: `leave out --network ${alone}, or the others` },
    );
  }
  if (alone.startsWith('container:')) {
    const container = alone.slice('container:'.length);
    if (container !== '') return { kind: 'container', container };
    throw new EngineError('NETWORK_INVALID', 'Cannot use network container: the container is missing', {
      hint: '--network container:NAME',
    });
  }
  return { kind: alone === 'host' ? 'host' : alone === 'none' ? 'none' : 'private' };
}

import { randomInt } from 'node:crypto';
import { EngineError } from '../base/errors.ts';

const ADJECTIVES =
  'amber ample brave brisk calm clear clever crisp deft eager early fair fleet fond frank fresh gentle glad golden ' +
  'grand handy happy hardy honest humble jolly keen kind light lively lucid lucky mellow merry mild neat nimble noble ' +
  'patient plain polite prompt proud quick quiet rapid ready sage sharp silver smooth snug sober solid spry stable ' +
  'steady stout sunny sure swift tidy true upbeat vivid warm wise witty zesty';
const NOUNS =
  'alder anchor anvil aspen badger beacon birch bollard bowline breaker buoy capstan cedar compass coral cove crane ' +
  'current cutter delta dock dolphin dory drifter egret eider estuary falcon ferry fjord gannet gull halyard harbor ' +
  'hawser heron hull inlet jetty keel kelp ketch lagoon lantern ledger lighthouse mast mooring narrows oar osprey otter ' +
  'pelican petrel pier pilot plover port puffin quay reef rudder sailor schooner seal sextant shoal skiff sloop sound ' +
  'spar strait tern tide tiller trawler tug wharf yawl';

/** A name for a container that got none: `adjective_noun`, with a number when `taken` holds it. */
export function randomName(taken: ReadonlySet<string>): string {
  const name = `${pick(ADJECTIVES)}_${pick(NOUNS)}`;
  return taken.has(name) ? `${name}${randomInt(100_000)}` : name;
}

/** @throws `INVALID_NAME` unless `name` follows Docker's grammar */
export function checkName(name: string): string {
  const bare = name.replace(/^\//, '');
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(bare)) return bare;
  throw new EngineError(
    'INVALID_NAME',
    `Cannot use container name (${name}): only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, two characters at least`,
  );
}

function pick(words: string): string {
  const list = words.split(' ');
  return list[randomInt(list.length)] ?? words;
}

import { isRecord } from '../base/is-record.ts';
import canonicalize from 'canonicalize';
import { satisfies } from '../cache/index.ts';
import type { RungName } from '../native/protocol.ts';
import type { CacheRecord } from '../store/types.ts';

/** A step that runs, as its key was made. */
export interface Miss {
  readonly key: string;
  readonly op: unknown;
  /** Chain id of the layers below. */
  readonly base: string | null;
  readonly ignoreCache: boolean;
}

/** Differences that one sentence names. */
const SHOWN = 3;

/**
 * Why a step was no hit: the difference to the nearest record, as a sentence.
 *
 * @param records those that were there before the build
 */
export function explainMiss(miss: Miss, records: readonly CacheRecord[], isolation: RungName): string {
  if (miss.ignoreCache) return 'it is built without cache (--no-cache or --no-cache-filter)';
  const exact = records.find(({ key }) => key === miss.key);
  if (exact) return explainExact(miss, exact, isolation);
  const text = canonicalize(miss.op);
  if (records.some(({ op }) => canonicalize(op) === text))
    return 'the same step is remembered; what it builds on has changed';
  const nearest = findNearest(miss, records);
  if (!nearest) return 'nothing like it is remembered';
  const differences = describe(nearest.op, miss.op);
  const more = differences.length > SHOWN ? `, and ${differences.length - SHOWN} more` : '';
  return `${differences.slice(0, SHOWN).join(', ')}${more}`;
}

function explainExact({ base }: Miss, record: CacheRecord, isolation: RungName): string {
  if (!satisfies(record.isolation, isolation))
    return `it was made under the isolation ${record.isolation}, which is weaker than ${isolation}`;
  return record.base === base ? 'its layer can no longer be had' : 'it is remembered on other layers below';
}

interface Candidate {
  readonly record: CacheRecord;
  readonly isSame: boolean;
  readonly isHere: boolean;
  readonly count: number;
}

/** Of the same kind, and with the same command or destination, or made at the same place. */
function findNearest(miss: Miss, records: readonly CacheRecord[]): CacheRecord | undefined {
  const candidates = records
    // What came with an image says no more than its kind.
    .filter(({ op }) => typeOf(op) === typeOf(miss.op) && isRecord(op) && Object.keys(op).length > 1)
    .map((record): Candidate => ({
      record,
      isSame: identityOf(record.op) === identityOf(miss.op),
      isHere: record.base === miss.base,
      count: describe(record.op, miss.op).length,
    }))
    .filter(({ isSame, isHere, count }) => (isSame || isHere) && count > 0);
  const better = (a: Candidate, b: Candidate): number =>
    Number(b.isSame) - Number(a.isSame) ||
    Number(b.isHere) - Number(a.isHere) ||
    a.count - b.count ||
    (a.record.createdAt < b.record.createdAt ? 1 : -1);
  return candidates.sort(better)[0]?.record;
}

function typeOf(op: unknown): unknown {
  return isRecord(op) ? op['type'] : undefined;
}

/** What makes two steps versions of one: a RUN's command, where a copy goes. */
function identityOf(op: unknown): string | undefined {
  if (!isRecord(op)) return undefined;
  if (op['type'] === 'exec') return canonicalize(op['args']);
  const actions = Array.isArray(op['actions']) ? (op['actions'] as readonly unknown[]) : [];
  return canonicalize(
    actions.map((action) => (isRecord(action) ? [action['action'], action['dest'] ?? action['path']] : null)),
  );
}

function describe(before: unknown, now: unknown): readonly string[] {
  if (!isRecord(before) || !isRecord(now)) return [];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => key !== 'type');
  return keys.flatMap((key) =>
    canonicalize(before[key]) === canonicalize(now[key]) ? [] : differenceOf(key, before[key], now[key]),
  );
}

function differenceOf(key: string, before: unknown, now: unknown): readonly string[] {
  if (key === 'args') return [`the command was ${commandOf(before)}`];
  if (key === 'env') return environment(before, now);
  if (key === 'actions' && Array.isArray(before) && Array.isArray(now))
    return [
      ...new Set(
        (now as readonly unknown[]).flatMap((action, at) => describeAction((before as readonly unknown[])[at], action)),
      ),
    ];
  if (key === 'cwd') return [`its directory was ${short(before)}`];
  return [`${key} was ${short(before)}`];
}

function describeAction(before: unknown, now: unknown): readonly string[] {
  if (!isRecord(before)) return ['it does more than before'];
  if (!isRecord(now)) return [];
  const changed = Object.keys(now).filter((key) => canonicalize(before[key]) !== canonicalize(now[key]));
  return changed.map((key) => {
    if (key === 'digests' || key === 'input' || key === 'shape') return 'the files that it copies have changed';
    if (key === 'names' || key === 'sources') return 'it copies other files';
    return `${key} was ${short(before[key])}`;
  });
}

/** Names alone: values may be nobody's business on a screen. */
function environment(before: unknown, now: unknown): readonly string[] {
  const [old, fresh] = [variables(before), variables(now)];
  const names = [...new Set([...old.keys(), ...fresh.keys()])];
  const changed = names.flatMap((name) => {
    if (!old.has(name)) return [`the variable ${name} is new`];
    if (!fresh.has(name)) return [`the variable ${name} is gone`];
    return old.get(name) === fresh.get(name) ? [] : [`the variable ${name} has another value`];
  });
  return changed.length > 0 ? changed : ['its variables are set in another order'];
}

function variables(env: unknown): ReadonlyMap<string, string> {
  const entries = Array.isArray(env) ? env.filter((entry) => typeof entry === 'string') : [];
  return new Map(entries.map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
}

function commandOf(args: unknown): string {
  const words = Array.isArray(args) ? args.map(String) : [];
  return short(words.at(-2) === '-c' ? words.at(-1) : words.join(' '));
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : (canonicalize(value) ?? 'unset');
  const line = text.replace(/\s+/g, ' ');
  return line.length > 120 ? `${line.slice(0, 119)}…` : line || 'empty';
}

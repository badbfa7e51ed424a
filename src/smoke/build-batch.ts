import type { Batch } from './batch.ts';
import type { BuildContext } from './build-context.ts';
import { isObject, type Json } from './json.ts';
import type { Preset } from './presets.ts';
import type { RawSpec } from './raw.ts';
import type { HttpRequest } from './spec.ts';

/** Sums in another order differ by this; an answer that mixes up its rows differs by much more. */
const RTOL = 1e-3;
const ATOL = 1e-6;
const MAX_ROWS = 100;

/** `batch:` — rows that must be answered together as each alone; problems go to the context. */
export async function buildBatch(
  raw: RawSpec['batch'],
  preset: Preset,
  context: BuildContext,
): Promise<Batch | undefined> {
  if (raw === undefined) return undefined;
  const { key = 'instances', path = preset.predict?.path ?? '/predict', rtol = RTOL, atol = ATOL } = raw;
  const { json } = await context.payload(['batch', 'from'], raw.from);
  const rows = isObject(json) ? json[key] : json;
  if (!Array.isArray(rows) || rows.length < 2 || rows.length > MAX_ROWS) {
    const message = `\`batch.from\` holds ${Array.isArray(rows) ? `${rows.length} rows` : 'no list'}: wanted a list of 2 to ${MAX_ROWS} rows`;
    context.problems.push({ message, place: context.place(['batch', 'from']) });
    return undefined;
  }
  const toRequest = (some: readonly Json[]): HttpRequest => {
    const text = JSON.stringify({ [key]: some });
    return {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(text),
      curlBody: text,
    };
  };
  const list = rows as readonly Json[];
  return {
    request: toRequest(list),
    singles: list.map((row) => toRequest([row])),
    answer: raw.answer === undefined ? undefined : context.jsonPath(['batch', 'answer'], raw.answer),
    tolerance: { rtol, atol, ignore: [] },
    location: context.place(['batch']),
  };
}

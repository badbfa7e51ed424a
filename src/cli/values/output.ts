import { resolve } from 'node:path';
import { suggest, type BuildCacheSource, type BuildCacheTarget, type BuildOutput } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';

/** An output as it was asked for: `-` is standard output, which the command opens. */
export interface ParsedOutput extends BuildOutput {
  readonly toStdout: boolean;
}

const TYPES: readonly BuildOutput['type'][] = ['image', 'registry', 'docker', 'oci', 'tar', 'local'];
const COMPRESSIONS = ['gzip', 'zstd', 'uncompressed'] as const;
/** Attributes that are done, beside `type` and annotations. */
const DONE =
  'dest name push tar store compression compression-level force-compression oci-mediatypes rewrite-timestamp'.split(
    ' ',
  );
const LEAVE_OUT = `leave it out; done are ${DONE.join(', ')} and annotation.NAME`;
/** Attributes of BuildKit's that are not done, with what to type instead. */
const REFUSED: Readonly<Record<string, string>> = {
  'push-by-digest': 'push under a name, name=REPOSITORY:TAG,push=true, and take the digest from --metadata-file FILE',
  'name-canonical': 'leave it out; --metadata-file FILE tells the digest to name the image by',
  unpack: 'leave it out: berth run starts what is built as it is',
  'dangling-name-prefix': 'leave it out, and give the name with name=NAME or -t NAME',
  buildinfo: 'leave it out: BuildKit has dropped it as well',
  'buildinfo-attrs': 'leave it out: BuildKit has dropped it as well',
  'prefer-nondist-layers': LEAVE_OUT,
  'oci-artifact': LEAVE_OUT,
  'registry.insecure': 'leave it out: registries on loopback are plain HTTP without it',
  'attestation-prefix': LEAVE_OUT,
  'platform-split': LEAVE_OUT,
  context: LEAVE_OUT,
  'store.insecure': LEAVE_OUT,
  mode: LEAVE_OUT,
};
const OTHER_ANNOTATIONS = 'annotation.NAME=VALUE sets one of the manifest';

/**
 * `--output`: `type=oci,dest=image.tar,…`, `FOLDER`, or `-` for a tar on standard output.
 *
 * @throws {UsageError} naming the attribute that is unknown or not done
 */
export function parseOutput(text: string, cwd: string): ParsedOutput {
  const pairs = pairsOf(text);
  if (pairs === undefined) return text === '-' ? { type: 'tar', toStdout: true } : local(resolve(cwd, text));
  const type = TYPES.find((known) => known === pairs.get('type'));
  if (type === undefined) throw unknownType(pairs.get('type'), TYPES);
  let output: ParsedOutput = { type, toStdout: false };
  for (const [key, value] of pairs) if (key !== 'type') output = { ...output, ...attribute(output, key, value, cwd) };
  return output;
}

function local(dest: string): ParsedOutput {
  return { type: 'local', dest, toStdout: false };
}

function attribute(output: BuildOutput, key: string, value: string, cwd: string): Partial<ParsedOutput> {
  const isImage = output.type !== 'local' && output.type !== 'tar';
  if (key === 'dest') return value === '-' ? { toStdout: true } : { dest: resolve(cwd, value) };
  if (!isImage && IMAGE_ONLY.has(key)) throw new UsageError(`type=${output.type} has no attribute ${key}`);
  if (key.startsWith('annotation.') || key.startsWith('annotation-manifest.')) {
    const name = key.replace(/^annotation(?:-manifest)?\./, '');
    return { annotations: { ...output.annotations, [name]: value } };
  }
  switch (key) {
    case 'name':
      return { names: value.split(',') };
    case 'push':
      return { push: boolOf(key, value) };
    case 'tar':
      return { tar: boolOf(key, value) };
    case 'store':
      if (boolOf(key, value)) return {};
      throw new UsageError('store=false is not supported yet', 'use type=oci, which keeps nothing in the store');
    case 'compression':
      return { compression: compressionOf(value) };
    case 'compression-level':
      return { compressionLevel: levelOf(value) };
    case 'force-compression':
      return { forceCompression: boolOf(key, value) };
    case 'oci-mediatypes':
      return { ociMediaTypes: boolOf(key, value) };
    case 'rewrite-timestamp':
      return { rewriteTimestamp: boolOf(key, value) };
    default:
      throw notDone(key);
  }
}

function notDone(key: string): UsageError {
  const known = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
  const hint = known ?? (key.startsWith('annotation') ? OTHER_ANNOTATIONS : undefined);
  if (hint !== undefined) return new UsageError(`attribute ${key} is not supported yet`, hint);
  const near = suggest(key, DONE);
  return new UsageError(`unknown attribute ${key}`, near ? `did you mean ${near}?` : LEAVE_OUT);
}

const IMAGE_ONLY: ReadonlySet<string> = new Set(DONE.filter((key) => key !== 'dest'));

function compressionOf(value: string): (typeof COMPRESSIONS)[number] {
  const found = COMPRESSIONS.find((known) => known === value);
  if (found) return found;
  if (value === 'estargz') throw new UsageError('compression=estargz is not supported', 'use gzip or zstd');
  throw new UsageError(`unknown compression ${value}: wanted one of ${COMPRESSIONS.join(', ')}`);
}

function levelOf(value: string): number {
  if (/^\d{1,2}$/.test(value)) return Number(value);
  throw new UsageError(`compression-level=${value} is no number`);
}

/**
 * `--cache-from`: `type=registry,ref=NAME`, `type=local,src=FOLDER`, or NAME alone.
 *
 * @throws {UsageError}
 */
export function parseCacheFrom(text: string, cwd: string): BuildCacheSource {
  const pairs = pairsOf(text);
  if (pairs === undefined) return { type: 'registry', ref: text };
  const type = cacheType(pairs.get('type'));
  onlyKnown(pairs, type === 'local' ? ['src'] : ['ref']);
  return type === 'local' ? { type, src: resolve(cwd, needed(pairs, 'src')) } : { type, ref: needed(pairs, 'ref') };
}

/** What is so anyway: registries that know no index need these of BuildKit. */
const ALWAYS = ['image-manifest', 'oci-mediatypes'];

/** `--cache-to`: `type=registry,ref=NAME,mode=max`, `type=local,dest=FOLDER`. @throws {UsageError} */
export function parseCacheTo(text: string, cwd: string): BuildCacheTarget {
  const pairs = pairsOf(text);
  if (pairs === undefined) return { type: 'registry', ref: text, mode: 'min' };
  if (pairs.get('type') === 'inline') return inlineTarget(pairs);
  const type = cacheType(pairs.get('type'));
  // A fault of a cache never fails a build here, so that ignore-error=true changes nothing.
  onlyKnown(pairs, [type === 'local' ? 'dest' : 'ref', 'mode', 'ignore-error', ...ALWAYS]);
  const other = ALWAYS.find((key) => !boolOf(key, pairs.get(key) ?? 'true'));
  if (other !== undefined) throw new UsageError(`${other}=false is not supported: a cache is an OCI image manifest`);
  const mode = pairs.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max') throw new UsageError(`unknown mode ${mode}: wanted min or max`);
  if (!boolOf('ignore-error', pairs.get('ignore-error') ?? 'true'))
    throw new UsageError('ignore-error=false is not supported: a fault of a cache is a warning');
  return type === 'local'
    ? { type, mode, dest: resolve(cwd, needed(pairs, 'dest')) }
    : { type, mode, ref: needed(pairs, 'ref') };
}

/** What the image carries are its own layers: there is nothing else that it could keep. */
function inlineTarget(pairs: ReadonlyMap<string, string>): BuildCacheTarget {
  onlyKnown(pairs, ['mode']);
  if ((pairs.get('mode') ?? 'min') === 'min') return { type: 'inline', mode: 'min' };
  throw new UsageError('type=inline keeps the layers of the image alone', 'use type=registry for mode=max');
}

function cacheType(type: string | undefined): 'local' | 'registry' {
  if (type === 'local' || type === 'registry') return type;
  if (type === 'inline')
    throw new UsageError('type=inline is for --cache-to', 'read it with --cache-from type=registry,ref=IMAGE');
  if (type !== undefined && ['gha', 's3', 'azblob'].includes(type))
    throw new UsageError(`type=${type} is not supported yet`, 'use type=registry or type=local');
  throw unknownType(type, ['local', 'registry']);
}

function onlyKnown(pairs: ReadonlyMap<string, string>, known: readonly string[]): void {
  const unknown = [...pairs.keys()].find((key) => key !== 'type' && !known.includes(key));
  if (unknown !== undefined)
    throw new UsageError(`attribute ${unknown} is not supported`, `known are type, ${known.join(', ')}`);
}

function needed(pairs: ReadonlyMap<string, string>, key: string): string {
  const value = pairs.get(key);
  if (value) return value;
  throw new UsageError(`type=${pairs.get('type') ?? ''} needs ${key}=…`);
}

/** `key=value` fields; undefined for a single word without `=`. */
function pairsOf(text: string): ReadonlyMap<string, string> | undefined {
  const fields = parseCsv(text);
  if (fields.length === 1 && !text.includes('=')) return undefined;
  const pairs = new Map<string, string>();
  for (const field of fields) {
    const at = field.indexOf('=');
    if (at <= 0) throw new UsageError(`"${field}" is not of the form key=value`);
    const key = field.slice(0, at).trim().toLowerCase();
    if (pairs.has(key)) throw new UsageError(`attribute ${key} is given twice`);
    pairs.set(key.startsWith('annotation') ? field.slice(0, at).trim() : key, field.slice(at + 1));
  }
  return pairs;
}

function boolOf(key: string, value: string): boolean {
  if (/^(?:true|1|t)$/i.test(value)) return true;
  if (/^(?:false|0|f)$/i.test(value)) return false;
  throw new UsageError(`${key}=${value}: wanted true or false`);
}

function unknownType(type: string | undefined, known: readonly string[]): UsageError {
  return new UsageError(
    type === undefined
      ? `type=… is missing: wanted one of ${known.join(', ')}`
      : `unknown type ${type}: wanted one of ${known.join(', ')}`,
  );
}

/** `--annotation KEY=VALUE`, also `manifest:KEY=VALUE`. @throws {UsageError} for other places, by name */
export function parseAnnotation(text: string): readonly [string, string] {
  const match = /^(?:([a-z,-]+(?:\[[^\]]*\])?):)?([^=]+)=(.*)$/s.exec(text);
  if (!match?.[2]) throw new UsageError(`"${text}" is not of the form KEY=VALUE`);
  if (match[1] !== undefined && match[1] !== 'manifest')
    throw new UsageError(`annotations of ${match[1]} are not supported yet`, 'those of the manifest are');
  return [match[2], match[3] ?? ''];
}

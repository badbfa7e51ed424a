import type { ServerResponse } from 'node:http';
import { parseGraphNode } from '../../image/manifest.ts';
import { OCI_INDEX } from '../../image/media-type.ts';
import type { Descriptor, Digest } from '../../image/types.ts';
import { Refusal } from './errors.ts';
import type { RegistryBackend, RegistryManifest } from './types.ts';

/** Entries of one page where the client asks for none. */
const MAX_PAGE = 1000;

/** Source: distribution-spec, "Listing Tags". */
export async function sendTags(
  backend: RegistryBackend,
  repository: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const all = await backend.manifests.tags(repository);
  if (all === undefined) throw new Refusal('NAME_UNKNOWN', `the repository ${repository} is not known`);
  const { page, link } = pageOf(all, query, `/v2/${repository}/tags/list`);
  send(response, { name: repository, tags: page }, link);
}

/** Source: Docker's registry HTTP API v2, "Catalog"; the distribution specification leaves it to registries. */
export async function sendCatalog(
  backend: RegistryBackend,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const { page, link } = pageOf(await backend.manifests.repositories(), query, '/v2/_catalog');
  send(response, { repositories: page }, link);
}

interface Page {
  readonly page: readonly string[];
  readonly link: Readonly<Record<string, string>>;
}

/** Names after `last`, at most `n`, in order of their bytes; and where the next ones are. */
function pageOf(names: readonly string[], query: URLSearchParams, path: string): Page {
  const last = query.get('last') ?? '';
  const after = [...names].sort().filter((name) => name > last);
  const asked = query.get('n') ?? '';
  const n = /^\d{1,6}$/.test(asked) ? Number(asked) : MAX_PAGE;
  const page = after.slice(0, n);
  const more = n > 0 && page.length < after.length;
  const next = `${path}?n=${n}&last=${encodeURIComponent(page.at(-1) ?? '')}`;
  return { page, link: more ? { link: `<${next}>; rel="next"` } : {} };
}

/** Source: distribution-spec, "Listing Referrers". A repository or digest that is not known has none. */
export async function sendReferrers(
  backend: RegistryBackend,
  { repository, digest }: { readonly repository: string; readonly digest: Digest },
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const wanted = query.get('artifactType');
  const found = (await backend.manifests.list(repository)).flatMap((manifest) => refererOf(manifest, digest));
  const manifests = wanted === null ? found : found.filter(({ artifactType }) => artifactType === wanted);
  const filtered = wanted === null ? {} : { 'oci-filters-applied': 'artifactType' };
  send(response, { schemaVersion: 2, mediaType: OCI_INDEX, manifests }, filtered, OCI_INDEX);
}

/** The descriptor of a manifest whose subject is `digest`, as the specification wants it. */
function refererOf({ descriptor, content }: RegistryManifest, digest: Digest): readonly Descriptor[] {
  const node = parseGraphNode(content, { what: 'a manifest', mediaType: descriptor.mediaType });
  const document = node.kind === 'manifest' ? node.manifest : node.index;
  if (document.subject?.digest !== digest) return [];
  const artifactType = document.artifactType ?? (node.kind === 'manifest' ? node.manifest.config.mediaType : undefined);
  const { mediaType, size } = descriptor;
  return [
    {
      mediaType,
      digest: descriptor.digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
    },
  ];
}

/**
 * DELETE of a tag, or of a manifest by its digest with all its tags. Its blobs stay until a prune finds that nothing names them. Source:
 * distribution-spec, "Content Management".
 */
export async function deleteManifest(
  backend: RegistryBackend,
  { repository, reference }: { readonly repository: string; readonly reference: string },
  response: ServerResponse,
): Promise<void> {
  const isGone = await backend.manifests.remove(repository, reference);
  if (!isGone) throw new Refusal('MANIFEST_UNKNOWN', `${repository} has no ${reference}`);
  response.writeHead(202, { 'content-length': '0' }).end();
}

function send(
  response: ServerResponse,
  value: object,
  headers: Readonly<Record<string, string>>,
  type = 'application/json',
): void {
  const body = JSON.stringify(value);
  response.writeHead(200, { 'content-type': type, 'content-length': String(Buffer.byteLength(body)), ...headers });
  response.end(body);
}

import { TAG } from '../image/grammar.ts';
import { listOf, member, rootField, stringOf } from '../image/fields.ts';
import { readJson } from '../image/json.ts';
import type { BlobCall, Place } from './blob.ts';
import type { Answer } from './client.ts';
import { protocolError } from './errors.ts';
import { isSameOrigin } from './host.ts';

const PAGE = 1000;
const MAX_PAGES = 1000;
const MAX_BODY = 4 * 1024 * 1024;

/** All tags, page by page. Source: distribution-spec, "Listing Tags". */
export async function listTags({ client, path }: Place, call: BlobCall): Promise<readonly string[]> {
  const { operation, scopes, signal } = call;
  const tags: string[] = [];
  let target: string | URL = `${path}/tags/list?n=${PAGE}`;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const what = `the tags of ${path}`;
    const request = { method: 'GET', target, scopes, signal, expect: [200] } as const;
    const answer: Answer & { readonly content: Buffer } = await client.read(operation, request, what, MAX_BODY);
    const names = listOf(member(rootField(readJson(answer.content, what), what), 'tags'), 100_000).map(stringOf);
    tags.push(...names.filter((name) => TAG.test(name)));
    const next = nextPage(answer, operation.act);
    if (next === undefined) return tags;
    target = next;
  }
  throw protocolError(operation.act, `the list of tags has more than ${MAX_PAGES} pages`);
}

/** `Link: <url>; rel="next"`. Source: RFC 5988. It must stay at the registry. */
function nextPage(answer: Answer, act: string): URL | undefined {
  const link = [answer.headers.link ?? []].flat().join(', ');
  const target = /<([^<>]*)>\s*;\s*rel="?next"?/.exec(link)?.[1];
  if (target === undefined) return undefined;
  const url = URL.canParse(target, answer.url.href) ? new URL(target, answer.url.href) : undefined;
  if (url === undefined || !isSameOrigin(url, answer.url))
    throw protocolError(act, `${answer.url.host} continues the list of tags at another host`);
  return url;
}

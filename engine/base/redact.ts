// A bounded scheme: an unbounded one takes quadratic time on a long word.
const USERINFO = /([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/@]*@/gi;
const SIGNED = /([?&](?:sig|signature|x-amz-signature|token|access_token|password)=)[^&\s"']+/gi;

/** `text` without the user part and the signed query parameters of the URLs in it. */
export function redact(text: string): string {
  return text.replace(USERINFO, '$1***@').replace(SIGNED, '$1***');
}

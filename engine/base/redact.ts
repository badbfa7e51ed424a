const USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi;
const SIGNED = /([?&](?:sig|signature|x-amz-signature|token|access_token|password)=)[^&\s"']+/gi;

/** `text` without the user part and the signed query parameters of the URLs in it. */
export function redact(text: string): string {
  return text.replace(USERINFO, '$1***@').replace(SIGNED, '$1***');
}

/** A value is searched in foreign text from this many bytes on: shorter ones would hit by chance (hardening.md 5, rule 10). */
const SEARCHED = 8;
/** A line of a secret is masked from this many characters on (rule 1). */
const LINE = 4;

/** A secret and what it is called in messages. */
export interface Secret {
  readonly name: string;
  readonly value: string;
}

/**
 * What the runner must mask for a value: itself, its lines, base64 of both alphabets, URL- and JSON-escaped forms.
 * The runner adds its own encodings to each.
 */
export function maskForms(value: string): readonly string[] {
  const lines = value.split(/\r\n|\r|\n/).filter((line) => line.trim().length >= LINE);
  const forms = [value, value.trim(), ...lines, ...lines.map((line) => line.trim())].filter(
    (form) => form.trim() !== '',
  );
  return unique([...forms, ...forms.flatMap(encodings)]);
}

/** Base64 forms of `user:password`, which basic authentication sends. */
export function basicForms(username: string, password: string): readonly string[] {
  if (password === '') return [];
  return unique(base64Forms(Buffer.from(`${username}:${password}`, 'utf8')));
}

/** Finds the name of the secret that `text` holds, raw or encoded; undefined when it holds none. */
export function findSecret(text: string, secrets: readonly Secret[]): string | undefined {
  return secrets.find(({ value }) => searchForms(value).some((form) => text.includes(form)))?.name;
}

/** Replaces every form of every secret by `***`; longest forms first, so that no rest of one stays. */
export function createRedactor(secrets: readonly Secret[]): (text: string) => string {
  const forms = unique(secrets.flatMap(({ value }) => maskForms(value)))
    .filter(({ length }) => length >= LINE)
    .toSorted((a, b) => b.length - a.length);
  return (text) => forms.reduce((clean, form) => clean.replaceAll(form, '***'), text);
}

function searchForms(value: string): readonly string[] {
  if (Buffer.byteLength(value.trim()) < SEARCHED) return [];
  return unique([value.trim(), ...encodings(value.trim()), ...shifted(value.trim())]);
}

function encodings(value: string): readonly string[] {
  return [
    ...base64Forms(Buffer.from(value, 'utf8')),
    encodeURIComponent(value.toWellFormed()),
    encodeURI(value.toWellFormed()),
    JSON.stringify(value).slice(1, -1),
  ];
}

function base64Forms(bytes: Buffer): readonly string[] {
  const padded = bytes.toString('base64');
  return [padded, padded.replace(/=+$/, ''), bytes.toString('base64url')];
}

/** Base64 of the value when none, one or two bytes stand before it, without the digits that depend on its neighbours. */
function shifted(value: string): readonly string[] {
  const bytes = Buffer.from(value, 'utf8');
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const whole = text.slice(before === 0 ? 0 : before + 1, text.length - ((bytes.length + before) % 3 === 0 ? 0 : 1));
    return whole.length >= SEARCHED ? [whole] : [];
  });
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)].filter((value) => value !== '');
}

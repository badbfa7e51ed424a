import { goQuote, goString } from './value.ts';

/** Go's `Sprintf`, for the verbs that templates use: `%s %v %q %d %t %x %X %o %b %c %f %e %g %%`, with `-`, `+`, `0`, width and precision. */
export function format(text: string, values: readonly unknown[]): string {
  let next = 0;
  const done = text.replace(
    /%([-+ 0#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (word, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const value = values[next++];
      const shown = show(verb, value, precision === undefined ? undefined : Number(precision), flags);
      return shown === undefined
        ? `%!${verb}(${typeof value}=${goString(value)})`
        : padded(shown, flags, Number(width ?? 0), verb);
    },
  );
  const extra = values.slice(next).map((value) => `${typeof value}=${goString(value)}`);
  return extra.length > 0 ? `${done}%!(EXTRA ${extra.join(', ')})` : done;
}

function show(verb: string, value: unknown, precision: number | undefined, flags: string): string | undefined {
  const sign = flags.includes('+') && typeof value === 'number' && value >= 0 ? '+' : '';
  switch (verb) {
    case 'v':
      return goString(value);
    case 's':
      return typeof value === 'number' || typeof value === 'boolean' ? undefined : cut(goString(value), precision);
    case 'q':
      return typeof value === 'string' ? goQuote(value) : undefined;
    case 't':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'd':
      return whole(value) ? sign + String(value) : undefined;
    case 'c':
      return whole(value) ? String.fromCodePoint(value) : undefined;
    case 'x':
    case 'X':
      return cased(
        typeof value === 'string' ? Buffer.from(value).toString('hex') : whole(value) ? value.toString(16) : undefined,
        verb,
      );
    case 'o':
      return whole(value) ? value.toString(8) : undefined;
    case 'b':
      return whole(value) ? value.toString(2) : undefined;
    case 'f':
      return typeof value === 'number' ? sign + value.toFixed(precision ?? 6) : undefined;
    case 'e':
      return typeof value === 'number'
        ? sign + value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2')
        : undefined;
    case 'g':
      return typeof value === 'number' ? sign + String(value) : undefined;
    default:
      return undefined;
  }
}

function whole(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value);
}

function cut(text: string, length: number | undefined): string {
  return length === undefined ? text : [...text].slice(0, length).join('');
}

function cased(text: string | undefined, verb: string): string | undefined {
  return verb === 'X' ? text?.toUpperCase() : text;
}

function padded(text: string, flags: string, width: number, verb: string): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (flags.includes('0') && 'dxXobfeg'.includes(verb)) {
    const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
    return sign + digits.padStart(width - sign.length, '0');
  }
  return text.padStart(width);
}

import { SyntaxMistake } from './errors.ts';
import type { ExpansionState } from './expansion.ts';
import { replaceMatches, stripPrefix, stripSuffix } from './strip.ts';

const MODIFIERS =
  '${N:-default} ${N-default} ${N:+word} ${N+word} ${N:?error} ${N?error} ${N#start} ${N%end} ${N/old/new}';
const SPECIAL: readonly string[] = ['@', '*', '#', '?', '-', '$', '!', '0'];

/**
 * The value of the `$name` or `${name…}` that the scanner stands on.
 *
 * @throws SyntaxMistake
 */
export function substitute(state: ExpansionState): string {
  const { scanner } = state;
  scanner.next();
  if (scanner.peek() === '{') {
    scanner.next();
    return braced(state);
  }
  const name = readName(state);
  if (name === '') return '$';
  return state.lookup(name) ?? (state.skipUnset ? `$${name}` : '');
}

function braced(state: ExpansionState): string {
  const first = state.scanner.peek();
  if (first === undefined) throw missing('}');
  if (first === '{' || first === '}' || first === ':')
    throw new SyntaxMistake(
      'expansion',
      'the substitution has no name',
      'Write ${NAME}, and escape a dollar sign that means itself',
    );
  const name = readName(state);
  const operator = readOperator(state);
  switch (operator) {
    case '}':
      return state.lookup(name) ?? (state.skipUnset ? `\${${name}}` : '');
    case '/':
      return replace(state, name);
    case '#':
    case '%':
      return strip(state, name, operator);
    default:
      return conditional(state, name, operator);
  }
}

/** `-`, `:-`, `#` and so on. */
function readOperator({ scanner }: ExpansionState): string {
  const char = scanner.next();
  if (char !== ':') return char ?? '';
  const second = scanner.next();
  if (second === undefined) throw missing('}');
  return char + second;
}

function conditional(state: ExpansionState, name: string, operator: string): string {
  if (operator === '') throw missing('}');
  if (!/^:?[-+?]$/.test(operator)) {
    throw new SyntaxMistake('expansion', `the modifier "${operator}" is not known`, `Known: ${MODIFIERS}`);
  }
  const word = until(state, '}', false);
  const value = state.lookup(name);
  if (value === undefined && state.skipUnset) return `\${${name}${operator}${word}}`;
  const isMissing = value === undefined || (operator.startsWith(':') && value === '');
  if (operator.endsWith('-')) return isMissing ? word : value;
  if (operator.endsWith('+')) return isMissing ? '' : word;
  if (!isMissing) return value;
  const reason = word === '' ? `must not be ${value === undefined ? 'unset' : 'empty'}` : word;
  throw new SyntaxMistake(
    'expansion',
    `${name}: ${reason}`,
    `Give it a value: ARG ${name}=value, ENV ${name}=value, or --build-arg ${name}=value for its ARG`,
  );
}

function strip(state: ExpansionState, name: string, operator: '#' | '%'): string {
  const word = until(state, '}', true);
  const value = state.lookup(name);
  if (value === undefined && state.skipUnset) return `\${${name}${operator}${word}}`;
  const isLongest = word.startsWith(operator);
  const pattern = isLongest ? word.slice(1) : word;
  return (operator === '#' ? stripPrefix : stripSuffix)(value ?? '', pattern, isLongest);
}

function replace(state: ExpansionState, name: string): string {
  const all = state.scanner.peek() === '/';
  if (all) state.scanner.next();
  const pattern = until(state, '/', true);
  const replacement = until(state, '}', true);
  const value = state.lookup(name);
  if (value === undefined && state.skipUnset) return `\${${name}/${all ? '/' : ''}${pattern}/${replacement}}`;
  return replaceMatches(value ?? '', pattern, replacement, all);
}

function until(state: ExpansionState, stop: string, rawEscapes: boolean): string {
  const text = state.until(stop, rawEscapes);
  if (text === undefined) throw missing(stop);
  return text;
}

function missing(stop: string): SyntaxMistake {
  const hint = stop === '}' ? 'Close it: ${NAME}' : 'Write ${NAME/old/new}';
  return new SyntaxMistake('expansion', `the substitution has no "${stop}"`, hint);
}

/** Letters, digits and `_`; a name that starts with a digit is all digits; special parameters are one character. */
function readName({ scanner }: ExpansionState): string {
  const first = scanner.peek();
  if (first !== undefined && /^\p{Nd}$/u.test(first)) return takeWhile(/^\p{Nd}$/u);
  if (first !== undefined && SPECIAL.includes(first)) return scanner.next() ?? '';
  return takeWhile(/^[\p{L}\p{Nd}_]$/u);

  function takeWhile(pattern: RegExp): string {
    let name = '';
    for (let char = scanner.peek(); char !== undefined && pattern.test(char); char = scanner.peek()) {
      name += char;
      scanner.next();
    }
    return name;
  }
}

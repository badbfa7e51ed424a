import type { Escape } from './ast.ts';
import { SyntaxMistake } from './errors.ts';
import { trimSpace } from '../base/space.ts';
import { cutAtGap, splitAtGaps } from './gaps.ts';
import { splitWords } from './words.ts';

/** An instruction's argument, split. */
export interface Arguments {
  readonly args: readonly string[];
  readonly json: boolean;
}

type ReadArguments = (rest: string, context: { readonly word: string; readonly escape: Escape }) => Arguments;

/** How each instruction splits its argument; the words of ONBUILD's are its nested instruction's. */
export const READERS: Readonly<Record<string, ReadArguments>> = {
  add: jsonOrWords,
  arg: (rest, { escape }) => plain(splitWords(rest, escape)),
  cmd: jsonOrText,
  copy: jsonOrWords,
  entrypoint: jsonOrText,
  env: nameValues,
  expose: (rest) => plain(splitAtGaps(rest)),
  from: (rest) => plain(splitAtGaps(rest)),
  healthcheck,
  label: nameValues,
  maintainer: text,
  run: jsonOrText,
  shell: jsonOrText,
  stopsignal: text,
  user: text,
  volume: jsonOrWords,
  workdir: text,
};

/**
 * The strings of a JSON array; undefined when the text is none, so that the shell form holds.
 *
 * @throws SyntaxMistake when it is an array of anything but strings
 */
export function jsonStrings(text: string): readonly string[] | undefined {
  if (!/^\s*\[/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  return value.map((item: unknown) => {
    if (typeof item === 'string') return item.toWellFormed();
    throw new SyntaxMistake(
      'json-required',
      'the JSON form takes an array of strings only',
      'Put each element into double quotes',
    );
  });
}

function plain(args: readonly string[]): Arguments {
  return { args, json: false };
}

function text(rest: string): Arguments {
  return plain(rest === '' ? [] : [rest]);
}

function jsonOrText(rest: string): Arguments {
  const strings = jsonStrings(rest);
  return strings ? { args: strings, json: true } : text(rest);
}

function jsonOrWords(rest: string): Arguments {
  const strings = jsonStrings(rest);
  return strings ? { args: strings, json: true } : plain(splitAtGaps(trimSpace(rest)));
}

function healthcheck(rest: string): Arguments {
  if (rest === '') return plain([]);
  const [type, command] = cutAtGap(rest) ?? [rest, ''];
  const line = jsonOrText(trimSpace(command));
  return { args: [type, ...line.args], json: line.json };
}

function nameValues(rest: string, { word, escape }: { readonly word: string; readonly escape: Escape }): Arguments {
  const words = splitWords(rest, escape);
  if (words[0] !== undefined && !words[0].includes('=')) return legacyPair(rest, word);
  return plain(words.flatMap((pair) => splitPair(pair)));
}

function legacyPair(rest: string, word: string): Arguments {
  const cut = cutAtGap(rest);
  if (!cut) {
    const hint = `Write ${word.toUpperCase()} ${rest}=value`;
    throw new SyntaxMistake('argument-count', `${word.toUpperCase()} needs a name and a value`, hint);
  }
  return plain([cut[0], cut[1], '']);
}

function splitPair(pair: string): readonly string[] {
  const equals = pair.indexOf('=');
  if (equals < 0)
    throw new SyntaxMistake(
      'argument-count',
      `"${pair}" has no "=": the form is name=value`,
      'Quote values that hold blanks',
    );
  return [pair.slice(0, equals), pair.slice(equals + 1), '='];
}

import type { Random } from './random.ts';

/** What texts are made of. */
export interface Material {
  /** Real texts. */
  readonly seeds: readonly string[];
  /** Words that mean something to the parser. */
  readonly words: readonly string[];
}

type Mutation = (text: string, random: Random, material: Material) => string;

/** A text that nobody has written: one of the seeds, or words alone, changed in one to eight places. */
export function mutated(random: Random, material: Material): string {
  let text = random.below(8) === 0 ? soup(random, material) : random.pick(material.seeds);
  for (let changes = 1 + random.below(8); changes > 0; changes -= 1) {
    text = random.pick(MUTATIONS)(text, random, material).slice(0, LONGEST);
  }
  return text;
}

/** Long enough for what counts lines and depths, short enough for thousands of cases a minute. */
const LONGEST = 20_000;

const MUTATIONS: readonly Mutation[] = [
  insertWord,
  insertWord,
  replaceByWord,
  removePart,
  repeatPart,
  repeatWord,
  joinWithAnother,
  swapLines,
  dropLine,
  cutOff,
  changeCharacter,
  changeLineEnds,
];

function soup(random: Random, { words }: Material): string {
  const separator = random.pick(['', ' ', '\n']);
  return Array.from({ length: random.below(40) }, () => random.pick(words)).join(separator);
}

function insertWord(text: string, random: Random, { words }: Material): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + random.pick(words) + text.slice(at);
}

function replaceByWord(text: string, random: Random, { words }: Material): string {
  const { start, end } = part(text, random);
  return text.slice(0, start) + random.pick(words) + text.slice(end);
}

function removePart(text: string, random: Random): string {
  const { start, end } = part(text, random);
  return text.slice(0, start) + text.slice(end);
}

function repeatPart(text: string, random: Random): string {
  const { start, end } = part(text, random);
  return text.slice(0, end) + text.slice(start, end).repeat(1 + random.below(3)) + text.slice(end);
}

function repeatWord(text: string, random: Random, { words }: Material): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + random.pick(words).repeat(1 + random.below(300)) + text.slice(at);
}

function joinWithAnother(text: string, random: Random, { seeds }: Material): string {
  const other = random.pick(seeds);
  return text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1));
}

function swapLines(text: string, random: Random): string {
  const lines = text.split('\n');
  const [a, b] = [random.below(lines.length), random.below(lines.length)];
  [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
  return lines.join('\n');
}

function dropLine(text: string, random: Random): string {
  const lines = text.split('\n');
  lines.splice(random.below(lines.length), 1);
  return lines.join('\n');
}

function cutOff(text: string, random: Random): string {
  return text.slice(0, random.below(text.length + 1));
}

function changeCharacter(text: string, random: Random): string {
  const at = random.below(text.length);
  return text.slice(0, at) + String.fromCodePoint(random.pick(RANGES) + random.below(96)) + text.slice(at + 1);
}

/** Where characters are taken from: controls, letters, accents, spaces of all widths, halves of pairs, emoji. */
const RANGES: readonly number[] = [0, 32, 32, 32, 160, 0x2000, 0xd7c0, 0x1f400];

function changeLineEnds(text: string, random: Random): string {
  const end = random.pick(['\n', '\r\n', '\r', '\n\n']);
  const at = random.below(text.length + 1);
  return text.slice(0, at) + text.slice(at).replaceAll('\n', end);
}

function part(text: string, random: Random): { readonly start: number; readonly end: number } {
  const start = random.below(text.length + 1);
  return { start, end: start + random.below(Math.min(text.length - start, 200) + 1) };
}

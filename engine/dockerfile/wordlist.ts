import { isSpace } from '../base/space.ts';

/** Collects words while a text is expanded. */
export interface WordList {
  /** Text that splits at white space. */
  add(text: string): void;
  /** Text that doesn't: quoted or escaped. */
  addQuoted(text: string): void;
  end(): readonly string[];
}

/** An empty {@link WordList}. */
export function createWordList(): WordList {
  const words: string[] = [];
  let word = '';
  const finish = (): void => {
    if (word !== '') words.push(word);
    word = '';
  };
  return {
    add(text) {
      for (const char of text) {
        if (isSpace(char)) finish();
        else word += char;
      }
    },
    addQuoted(text) {
      word += text;
    },
    end() {
      finish();
      return words;
    },
  };
}

/** Reads fields of an object that somebody else wrote, and names the one that is wrong. */
export interface Reader {
  has(name: string): boolean;
  /** @throws for a field that is not among these: a device would be half of what its vendor meant */
  known(names: readonly string[]): void;
  /** A text that must be there, and not empty. */
  text(name: string): string;
  optional(name: string): string | undefined;
  number(name: string): number | undefined;
  texts(name: string): readonly string[];
  numbers(name: string): readonly number[];
  object(name: string): Reader | undefined;
  objects(name: string): readonly Reader[];
}

/** A reader of `value`, which stands at `path` in its document. @throws an `Error` when it is no object */
export function createReader(value: unknown, path: string): Reader {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${path || 'the document'} is no object`);
  }
  // What stands there as null is not there: YAML writes an empty field so.
  const fields = new Map<string, unknown>(Object.entries(value).filter(([, one]) => one !== null));
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const listOf = <T>(name: string, item: (value: unknown, path: string) => T): readonly T[] => {
    const list = fields.get(name) ?? [];
    if (!Array.isArray(list)) throw new Error(`${at(name)} is no list`);
    return list.map((one: unknown, index) => item(one, `${at(name)}[${index}]`));
  };
  const optional: Reader['optional'] = (name) => (!fields.has(name) ? undefined : text(fields.get(name), at(name)));
  return {
    has: (name) => fields.has(name),
    known: (names) => {
      const unknown = [...fields.keys()].find((name) => !names.includes(name));
      if (unknown !== undefined) throw new Error(`${at(unknown)} is not known`);
    },
    text: (name) => {
      const found = optional(name);
      if (!found) throw new Error(`${at(name)} is missing`);
      return found;
    },
    optional,
    number: (name) => (!fields.has(name) ? undefined : whole(fields.get(name), at(name))),
    texts: (name) => listOf(name, text),
    numbers: (name) => listOf(name, whole),
    object: (name) => (!fields.has(name) ? undefined : createReader(fields.get(name), at(name))),
    objects: (name) => listOf(name, createReader),
  };
}

function text(value: unknown, path: string): string {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  throw new Error(`${path} is no text`);
}

function whole(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw new Error(`${path} is no whole number`);
}

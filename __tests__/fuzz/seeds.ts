import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vectorPath } from '../helpers/vector-path.ts';

/** Every text of the vectors in these folders that `isWanted` takes; none where they are absent. */
export function vectorTexts(folders: readonly string[], isWanted: (text: string) => boolean): readonly string[] {
  const texts = folders
    .map((folder) => vectorPath(folder))
    .filter(existsSync)
    .flatMap((folder) => filesBelow(folder).flatMap(textsOf));
  return [...new Set(texts.filter(isWanted))];
}

/** Files of these names below a folder. */
export function filesNamed(folder: string, isWanted: (name: string) => boolean): readonly string[] {
  return filesBelow(folder)
    .filter((path) => isWanted(path.slice(path.lastIndexOf('/') + 1)))
    .map((path) => readFileSync(path, 'utf8'));
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function textsOf(path: string): readonly string[] {
  const text = readFileSync(path, 'utf8');
  return path.endsWith('.json') ? stringsIn(JSON.parse(text)) : [text];
}

function stringsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

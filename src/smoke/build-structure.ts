import type { BuildContext } from './build-context.ts';
import type { RawSpec } from './raw.ts';
import { parseStructure } from './structure/parse.ts';
import type { StructureFile } from './structure/types.ts';

/** `structure-tests:` — files of container-structure-test as they are; problems, with their places there, go to the context. */
export async function buildStructure(
  raw: RawSpec['structure-tests'],
  context: BuildContext,
): Promise<readonly StructureFile[]> {
  const names = raw === undefined ? [] : [raw].flat();
  const files: StructureFile[] = [];
  for (const [index, name] of names.entries()) {
    const at = typeof raw === 'string' ? ['structure-tests'] : ['structure-tests', index];
    const text = await context.attemptAsync(
      at,
      async () => (await context.files.read(name)).toString('utf8'),
      undefined,
    );
    if (text === undefined) continue;
    const parsed = await parseStructure(text, name, context.files, (variable) => context.lookup(variable));
    if (isFile(parsed)) files.push(parsed);
    else context.problems.push(...parsed);
  }
  return files;
}

function isFile(parsed: Awaited<ReturnType<typeof parseStructure>>): parsed is StructureFile {
  return 'source' in parsed;
}

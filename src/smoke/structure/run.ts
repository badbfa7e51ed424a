import type { ImageFiles } from '../../../engine/index.ts';
import type { Check } from '../report.ts';
import { track } from '../track.ts';
import { runCommandTest } from './commands.ts';
import { environmentOf, rowOf, type StructureContext } from './context.ts';
import { contentProblems, existenceProblems, licenseProblems } from './file-tests.ts';
import { metadataProblems } from './metadata.ts';
import type { StructureFile } from './types.ts';

/**
 * Runs the tests of some files of container-structure-test: those of files read the image without starting anything, commands run in containers of
 * their own. A row a test, in the order of the files.
 */
export async function runStructureTests(
  files: readonly StructureFile[],
  context: StructureContext,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const [index, file] of files.entries()) {
    const rows = await track(
      { id: `smoke/structure/${index}`, name: `structure tests of ${file.source}` },
      context.onEvent,
      () => runFile(file, context),
      (found) => found.find(({ status }) => status === 'failed')?.summary,
    );
    checks.push(...rows);
  }
  return checks;
}

async function runFile(file: StructureFile, context: StructureContext): Promise<readonly Check[]> {
  const env = environmentOf(context.image.config, file);
  const commands: Check[] = [];
  for (const test of file.commands) commands.push(await runCommandTest(test, file.options, env, context));
  const reads = file.files.length + file.contents.length + file.licenses.length > 0;
  const read = reads
    ? await context.engine.images.files(
        context.image.reference,
        (image) => runOnFiles(file, image, env, context),
        context,
      )
    : [];
  return [...commands, ...read, ...metadataRows(file, env, context)];
}

async function runOnFiles(
  file: StructureFile,
  image: ImageFiles,
  env: ReadonlyMap<string, string>,
  { mask }: StructureContext,
): Promise<readonly Check[]> {
  const rows: Check[] = [];
  for (const test of file.files) {
    const problems = await existenceProblems(test, image, env);
    const summary = `${test.path} is ${test.shouldExist ? 'there' : 'not there'}`;
    rows.push(rowOf(`file existence test: ${test.name}`, problems, { mask, location: test.location, summary }));
  }
  for (const test of file.contents) {
    const problems = await contentProblems(test, image, { env, mask });
    const summary = `${test.path} holds what it should`;
    rows.push(rowOf(`file content test: ${test.name}`, problems, { mask, location: test.location, summary }));
  }
  for (const test of file.licenses) {
    const problems = await licenseProblems(test, image);
    rows.push(rowOf('license test', problems, { mask, location: test.location, summary: 'no licence is shunned' }));
  }
  return rows;
}

function metadataRows(
  { metadata }: StructureFile,
  env: ReadonlyMap<string, string>,
  { image, mask }: StructureContext,
): readonly Check[] {
  if (metadata === undefined) return [];
  const problems = metadataProblems(metadata, image.config, { env, mask });
  const summary = 'the configuration of the image is as it should be';
  return [rowOf('metadata test', problems, { mask, location: metadata.location, summary })];
}

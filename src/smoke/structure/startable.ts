import { isEngineError, messageOf, type ImageFiles } from '../../../engine/index.ts';
import type { Check } from '../report.ts';
import { track } from '../track.ts';
import { parseElf, type Elf } from './elf.ts';
import { rowOf, type StructureContext } from './context.ts';
import { head, missingLibraries } from './libraries.ts';
import { isDriverProgram } from './nvidia.ts';
import { findProgram, type Place } from './program.ts';

/**
 * Looks, without starting anything, whether an image could be started at all: its user is known, its program is there and may be executed, and so
 * is what the program is run by. Only what would stop every `docker run` of it is red (DESIGN.md 8).
 */
export async function startableChecks(context: StructureContext): Promise<readonly Check[]> {
  return await track(
    { id: 'smoke/structure', name: 'look at the files of the image' },
    context.onEvent,
    () => context.engine.images.files(context.image.reference, (files) => lookAt(files, context), context),
    (checks) => checks.find(({ status }) => status === 'failed')?.summary,
  );
}

async function lookAt(files: ImageFiles, context: StructureContext): Promise<readonly Check[]> {
  const { config } = context.image;
  const user = await userOf(files, config.User ?? '');
  const place: Place = { files, config, who: 'problem' in user ? undefined : user };
  const who = rowOf('USER', 'problem' in user ? [user.problem] : [], { ...context, summary: nameOf(config.User) });
  return [who, await workdirRow(files, context), ...(await programRows(place, context))];
}

function nameOf(user: string | undefined): string {
  return user === undefined || user === '' ? 'root' : user;
}

async function userOf(
  files: ImageFiles,
  user: string,
): Promise<NonNullable<Place['who']> | { readonly problem: string }> {
  try {
    return await files.user(user);
  } catch (error) {
    if (isEngineError(error, 'USER_NOT_FOUND') || isEngineError(error, 'INVALID_USER'))
      return { problem: messageOf(error) };
    throw error;
  }
}

/** A folder that is not there is made when a container starts; a file in its place is in the way. */
async function workdirRow(files: ImageFiles, context: StructureContext): Promise<Check> {
  const workdir = context.image.config.WorkingDir || '/';
  const [found] = await files.look([workdir], { follow: true });
  if (found !== undefined && found.kind !== 'directory')
    return rowOf('WORKDIR', [`${workdir} is a ${found.kind}, and no directory`], context);
  const row = rowOf('WORKDIR', [], { ...context, summary: workdir });
  if (found !== undefined || workdir === '/') return row;
  return {
    ...row,
    status: 'warning',
    summary: context.mask(`${workdir} is not in the image: it is made when a container starts, and belongs to root`),
  };
}

async function programRows(place: Place, context: StructureContext): Promise<readonly Check[]> {
  const { Entrypoint, Cmd } = place.config;
  const [name] = [...(Entrypoint ?? []), ...(Cmd ?? [])].filter((word) => word !== '');
  if (name === undefined) {
    const summary = 'it has neither ENTRYPOINT nor CMD: it runs what it is told to';
    return [{ name: 'program', status: 'untested', summary }];
  }
  const problems: string[] = [];
  const warnings: string[] = [];
  const way = await follow(name, place, { problems, warnings });
  const row = rowOf('program', problems, { ...context, summary: way.join(' → ') });
  if (problems.length > 0 || warnings.length === 0) return [row];
  return [{ ...row, status: 'warning', summary: context.mask(warnings.join('; ')) }];
}

interface Findings {
  readonly problems: string[];
  readonly warnings: string[];
}

/** Scripts that run scripts; the kernel itself stops after this many. */
const MAX_INTERPRETERS = 5;

/** From a command's first word to the program that the kernel runs in the end: the files on this way. */
async function follow(name: string, place: Place, findings: Findings, depth = 0): Promise<readonly string[]> {
  const found = await findProgram(name, place);
  if ('problem' in found && isDriverProgram(name)) {
    findings.warnings.push(`${name} is not in the image: it comes with the GPU's driver, where the container has one`);
    return [name];
  }
  if ('problem' in found) {
    findings.problems.push(found.problem);
    return [];
  }
  const { path } = found.file;
  const bytes = await head(path, place.files);
  if (bytes.subarray(0, 2).toString('latin1') === '#!')
    return [path, ...(await followScript(path, bytes, place, findings, depth))];
  const elf = parseElf(bytes);
  if (elf === undefined && bytes.subarray(0, 4).toString('latin1') === '\x7fELF') {
    findings.warnings.push(`${path} is for a machine of another kind`);
    return [path];
  }
  if (elf === undefined)
    findings.problems.push(`${path} is no program: it begins neither with an ELF header nor with #!${hintOf(bytes)}`);
  else await checkElf(path, elf, place, findings);
  return [path];
}

function hintOf(bytes: Buffer): string {
  if (bytes.length === 0) return ' (it is empty)';
  return bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]))
    ? ' (a byte order mark comes first: save it without)'
    : '';
}

async function followScript(
  path: string,
  bytes: Buffer,
  place: Place,
  findings: Findings,
  depth: number,
): Promise<readonly string[]> {
  const line = bytes.subarray(2, 258).toString('utf8').split('\n', 1)[0] ?? '';
  const [interpreter = '', ...words] = line.trim().split(/[ \t]+/);
  if (line.endsWith('\r')) {
    findings.problems.push(
      `${path} has Windows line ends: its interpreter would be "${interpreter}\\r". Save it with LF (git: \`* text=auto eol=lf\`)`,
    );
    return [];
  }
  if (interpreter === '' || depth >= MAX_INTERPRETERS) {
    findings.problems.push(`${path}: its first line names no interpreter that can be run: #!${line}`);
    return [];
  }
  // The kernel looks for no name in PATH, and for none relative to the script.
  const way = await follow(interpreter.startsWith('/') ? interpreter : `./${interpreter}`, place, findings, depth + 1);
  if (way.length === 0) findings.problems.push(`${path} is run by ${interpreter}, as its first line says`);
  if (!/\/env$/.test(interpreter) || way.length === 0) return way;
  // The kernel hands all words on as one, and only -S takes them apart.
  if (words.length > 1 && !SPLIT.test(words[0] ?? '')) {
    findings.problems.push(
      `${path}: env would look for a program "${words.join(' ')}": write #!${interpreter} -S ${words.join(' ')}`,
    );
    return [];
  }
  const program = programOfEnv(words);
  return program === undefined ? way : [...way, ...(await follow(program, place, findings, depth + 1))];
}

/** The option of env that takes a line apart, alone or after others that take no value: `-S`, `-iS`, `-vS`, `--split-string=`. */
const SPLIT = /^(?:-[iv0]*S|--split-string(?:=|$))/;

/** What env is told to run: the first word that is neither an option, nor what an option takes, nor a variable. */
function programOfEnv(words: readonly string[]): string | undefined {
  const rest = words.map((word) => word.replace(SPLIT, '')).filter((word) => word !== '');
  return rest.find((word, index) => !/^-|=/.test(word) && !/^(?:-[uC]|--unset|--chdir)$/.test(rest[index - 1] ?? ''));
}

async function checkElf(
  path: string,
  elf: Elf,
  { files, config }: Place,
  { problems, warnings }: Findings,
): Promise<void> {
  if (elf.machine !== process.arch) {
    warnings.push(`${path} is for ${elf.machine}, and this machine is ${process.arch}`);
    return;
  }
  if (elf.interpreter === undefined) return;
  const [loader] = await files.look([elf.interpreter], { follow: true });
  if (loader?.kind !== 'file') {
    const libc = elf.interpreter.includes('musl') ? 'musl (Alpine)' : 'glibc (Debian, Ubuntu, Fedora)';
    problems.push(`${path} is loaded by ${elf.interpreter}, which is not in the image: it was built for ${libc}`);
    return;
  }
  const { missing, ofDriver } = await missingLibraries(path, elf, { files, env: config.Env ?? [] });
  problems.push(...missing);
  warnings.push(...ofDriver);
}

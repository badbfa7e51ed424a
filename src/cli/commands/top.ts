import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { escapeControl, messageOf } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { formatTable } from '../table.ts';
import { OperandsError } from '../usage-error.ts';

/** A list of processes: heads and a row for each. */
interface Listing {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** `berth top`: a container's processes, as the host's ps shows them. */
export const top = defineCommand({
  name: 'top',
  docs: 'Show the processes of a container',
  operands: 'CONTAINER [PS_OPTIONS...]',
  flags: {},
  passThrough: true,
  run: async (context, _values, [name = '', ...options]) => {
    const { containers } = await context.engine();
    const pids = await containers.processes(name);
    const { titles, rows } = (await fromPs(options, pids)) ?? (await fromProc(options, pids));
    context.stdout.write(
      formatTable(
        titles,
        rows.map((row) => row.map(escapeControl)),
        { narrowest: 20 },
      ),
    );
    return 0;
  },
});

/** The lines of `ps` about `pids`; undefined where there is no ps. @throws when ps fails, or shows no PID */
async function fromPs(options: readonly string[], pids: readonly number[]): Promise<Listing | undefined> {
  const output = await runPs(options.length > 0 ? options : ['-ef']);
  if (output === undefined) return undefined;
  const [head = '', ...lines] = output.split('\n').filter(Boolean);
  const titles = head.trim().split(/\s+/);
  const at = titles.indexOf('PID');
  if (at < 0) throw new OperandsError("Couldn't find PID field in ps output", 'let the ps options show the PID');
  const wanted = new Set(pids.map(String));
  const rows = lines.map((line) => columnsOf(line, titles.length)).filter((row) => wanted.has(row[at] ?? ''));
  return { titles, rows };
}

/** The last column takes the rest of the line. */
function columnsOf(line: string, count: number): readonly string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(' ')];
}

async function runPs(args: readonly string[]): Promise<string | undefined> {
  const child = spawn('ps', [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return await new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(undefined);
      else reject(new OperandsError(`ps: ${messageOf(error)}`));
    });
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new OperandsError(`ps: ${stderr.trim() || `exit code ${code}`}`));
    });
  });
}

/** A short list of our own, on a machine without ps. */
async function fromProc(options: readonly string[], pids: readonly number[]): Promise<Listing> {
  if (options.length > 0) {
    throw new OperandsError('Cannot use ps options: there is no ps on this machine', 'leave the options out');
  }
  const rows = await Promise.all(pids.map(readProcess));
  return { titles: ['UID', 'PID', 'PPID', 'CMD'], rows: rows.filter((row) => row !== undefined) };
}

/** Undefined for a process that has ended meanwhile. */
async function readProcess(pid: number): Promise<readonly string[] | undefined> {
  try {
    const [status, command] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const words = command.replaceAll('\0', ' ').trim();
    return [field('Uid'), String(pid), field('PPid'), words || `[${field('Name')}]`];
  } catch {
    return undefined;
  }
}

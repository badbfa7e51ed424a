import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from './base/errors.ts';
import type { Vertex } from './graph/index.ts';
import { has32BitPrograms } from './host-platform.ts';
import { runsOn } from './image/choose.ts';
import { formatPlatform, normalizePlatform } from './image/platform.ts';
import type { Platform } from './image/types.ts';

/** Where the kernel lists what plays other machines. Source: Linux, admin-guide/binfmt-misc.rst. */
const BINFMT = '/proc/sys/fs/binfmt_misc';

/** The beginning of a program for an architecture, as far as it tells the machine. Source: elf(5). */
interface Program {
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly isBigEndian?: true;
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  386: { bits: 32, machine: 3 },
  amd64: { bits: 64, machine: 62 },
  arm: { bits: 32, machine: 40 },
  arm64: { bits: 64, machine: 183 },
  loong64: { bits: 64, machine: 258 },
  mips64: { bits: 64, machine: 8, isBigEndian: true },
  mips64le: { bits: 64, machine: 8 },
  ppc64le: { bits: 64, machine: 21 },
  riscv64: { bits: 64, machine: 243 },
  s390x: { bits: 64, machine: 22, isBigEndian: true },
};

/**
 * Refuses a graph whose RUNs need a machine that is neither this one nor played by an emulator here. Nothing else of an image depends on the
 * machine that builds it.
 *
 * @param folder where the kernel's list is mounted
 * @throws `PLATFORM_UNSUPPORTED` naming the line, and what to install
 */
export async function requireMachines(
  vertices: readonly Vertex[],
  host: Platform,
  folder: string = BINFMT,
): Promise<void> {
  const foreign = vertices.filter(({ op, platform }) => op.type === 'exec' && !runsHere(platform, host));
  if (foreign.length === 0) return;
  const handlers = await readHandlers(folder);
  for (const step of foreign) {
    const fault = faultOf(step.platform, handlers);
    if (fault === undefined) continue;
    const message = `Cannot build for ${formatPlatform(step.platform)}: ${step.name} must run, and this machine is ${formatPlatform(host)}; ${fault}`;
    const hint = `${EMULATOR_HINT}; or compile for it in a stage FROM --platform=$BUILDPLATFORM`;
    throw new EngineError('PLATFORM_UNSUPPORTED', message, { hint, location: step.location, vertex: step.id });
  }
}

/** What to install so that programs of other machines run. */
export const EMULATOR_HINT =
  'Install an emulator: apt-get install qemu-user-static binfmt-support, or the step docker/setup-qemu-action in a workflow';

/**
 * True when programs for a platform run on a machine without an emulator. What a level of a processor has beyond the first is not asked for.
 *
 * @param has32Bit whether an arm64 runs programs of arm: many no longer do
 */
export function runsHere(platform: Platform, host: Platform, has32Bit: () => boolean = has32BitPrograms): boolean {
  const { variant: _, ...plain } = normalizePlatform(platform);
  const isLevel = plain.architecture === 'amd64' || plain.architecture === 'arm64';
  if (!runsOn(isLevel ? plain : platform, host)) return false;
  return !(plain.architecture === 'arm' && host.architecture === 'arm64') || has32Bit();
}

/** A handler that is switched on. */
interface Handler {
  readonly flags: string;
  readonly offset: number;
  readonly magic: Buffer;
  readonly mask: Buffer;
}

async function readHandlers(folder: string): Promise<readonly Handler[] | undefined> {
  const names = await readdir(folder).catch((): string[] => []);
  if (!names.includes('status')) return undefined;
  // Switched off as a whole, no handler is asked.
  if ((await readFile(join(folder, 'status'), 'utf8').catch(() => '')).trim() !== 'enabled') return [];
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')));
  return texts.flatMap((text) => readHandler(text) ?? []);
}

function readHandler(text: string): Handler | undefined {
  const field = (name: string): string => new RegExp(`^${name}:? ?(.*)$`, 'm').exec(text)?.[1] ?? '';
  if (!text.startsWith('enabled\n') || field('magic') === '') return undefined;
  const magic = Buffer.from(field('magic'), 'hex');
  const mask = field('mask') === '' ? Buffer.alloc(magic.length, 0xff) : Buffer.from(field('mask'), 'hex');
  return { flags: field('flags'), offset: Number(field('offset')), magic, mask };
}

/** Why a platform's programs do not run; undefined when they do. */
function faultOf(platform: Platform, handlers: readonly Handler[] | undefined): string | undefined {
  const program = PROGRAMS[normalizePlatform(platform).architecture];
  if (platform.os !== 'linux' || !program) return 'there is no emulator for it';
  if (!handlers) return `no emulator can be found, since ${BINFMT} is not mounted`;
  const header = headerOf(program);
  const found = handlers.filter((handler) => takes(handler, header));
  if (found.length === 0) return 'no emulator for it is registered';
  if (found.some(({ flags }) => flags.includes('F'))) return undefined;
  return 'the emulator for it is registered without the flag F, so that it is not found inside of an image';
}

function takes({ offset, magic, mask }: Handler, header: Buffer): boolean {
  return magic.every((byte, at) => {
    const bits = mask[at] ?? 0xff;
    return ((header[offset + at] ?? 0) & bits) === (byte & bits);
  });
}

/** The first bytes of a dynamically linked program: what handlers look at. */
function headerOf({ bits, machine, isBigEndian = undefined }: Program): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isBigEndian ? 2 : 1, 1]);
  const write = (value: number, at: number): number =>
    isBigEndian ? header.writeUInt16BE(value, at) : header.writeUInt16LE(value, at);
  write(2, 16);
  write(machine, 18);
  return header;
}

import { EngineError, isEngineError, messageOf } from '../base/errors.ts';
import { createHelper, type Elevation, type Launcher } from './helper.ts';
import type { IdMap, ProbeReply, Rung, RungName, StoreLocation } from './protocol.ts';
import { findSubordinateIds } from './subid.ts';

/** The rung in use and how the helper is started for it. */
export interface Isolation {
  readonly rung: RungName;
  readonly elevation: Elevation;
  readonly idMap: IdMap;
  readonly probe: ProbeReply;
  /** Where any rung will do, and this one of root is not the strongest: what stood in the way of `root`. */
  readonly instead?: Refusal | undefined;
}

/** Why rung `root` is not possible. */
export interface Refusal {
  readonly reason: string;
  /** All else of it would be possible: it is the device rules of containers that the kernel does not take. */
  readonly isOfDevices: boolean;
}

/** What an attempt to be root through sudo found. */
interface SudoProbe {
  readonly probe?: ProbeReply | undefined;
  readonly refusal?: string | undefined;
}

/** Rungs that the engine can use so far, from the strongest to the weakest; the probe knows more. */
const USABLE: readonly RungName[] = ['root', 'userns-full', 'userns'];
/** Those that only root can use, and so whoever may become root by sudo. */
const OF_ROOT: readonly RungName[] = ['root', 'userns-full'];

/**
 * Probes and chooses the rung (DESIGN.md 4), the strongest first; those of root directly, then through `sudo -n`. A wanted rung is that one or an error.
 *
 * @throws `ISOLATION_IMPOSSIBLE` with the probe's reason and each switch that would help
 */
export async function chooseIsolation(
  wanted: RungName | 'auto',
  { launcher, store, signal }: { readonly launcher: Launcher; readonly store: StoreLocation; readonly signal?: AbortSignal | undefined },
): Promise<Isolation> {
  if (wanted !== 'auto' && !USABLE.includes(wanted)) throw notYet(wanted);
  const sub = await findSubordinateIds();
  const found = 'idMap' in sub ? sub.idMap : null;
  const probe = async (elevation: Elevation): Promise<ProbeReply> =>
    await createHelper(launcher, { store, idMap: { kind: 'root' }, elevation }).call('probe', { sub: found }, { signal });
  const direct = await probe('direct');
  const rungs = wanted === 'auto' ? USABLE : [wanted];
  const strongest = rungs.find((rung) => holds(direct, rung));
  const isWeaker = rungs.some((rung) => OF_ROOT.includes(rung) && isStronger(rung, strongest));
  // Who is root already gets no further by it.
  const viaSudo = isWeaker && direct.uid !== 0 ? await probeSudo(launcher, probe) : {};
  for (const rung of rungs) {
    if (holds(direct, rung)) return isolationBy(direct, rung, { elevation: 'direct', found, wanted });
    if (OF_ROOT.includes(rung) && viaSudo.probe && holds(viaSudo.probe, rung)) {
      return isolationBy(viaSudo.probe, rung, { elevation: 'sudo', found: null, wanted });
    }
  }
  throw impossible(wanted, rungs, direct, viaSudo, 'missing' in sub ? sub.missing : undefined);
}

function isolationBy(
  probe: ProbeReply,
  rung: RungName,
  { elevation, found, wanted }: { readonly elevation: Elevation; readonly found: IdMap | null; readonly wanted: RungName | 'auto' },
): Isolation {
  const root = wanted === 'auto' && rung === 'userns-full' ? rungOf(probe, 'root') : undefined;
  const instead = root && !root.possible ? { reason: root.reason ?? 'not possible', isOfDevices: root.lacksDeviceRules } : undefined;
  return { rung, elevation, idMap: mapOf(probe, rung, found), probe, ...(instead ? { instead } : {}) };
}

async function probeSudo(launcher: Launcher, probe: (elevation: Elevation) => Promise<ProbeReply>): Promise<SudoProbe> {
  if (!launcher.sudo) return {};
  try {
    return { probe: await probe('sudo') };
  } catch (error) {
    if (isEngineError(error, 'HELPER_MISMATCH') || isEngineError(error, 'HELPER_MISSING')) throw error;
    if (!isEngineError(error)) throw error;
    return { refusal: messageOf(error) };
  }
}

function rungOf(probe: ProbeReply, name: RungName): Rung | undefined {
  return probe.rungs.find((rung) => rung.name === name);
}

function holds(probe: ProbeReply, name: RungName): boolean {
  return rungOf(probe, name)?.possible ?? false;
}

/** Whether the rung is above the other, or there is no other. */
function isStronger(rung: RungName, other: RungName | undefined): boolean {
  return other === undefined || USABLE.indexOf(rung) < USABLE.indexOf(other);
}

function mapOf(probe: ProbeReply, name: RungName, found: IdMap | null): IdMap {
  if (name === 'root') return { kind: 'root' };
  const idMap = rungOf(probe, name)?.idMap ?? (name === 'userns' ? found : null);
  // Without one the helper would work as root outside of any namespace.
  if (!idMap) throw new Error(`The probe finds rung ${name} possible, and names no ids for it`);
  return idMap;
}

function notYet(wanted: RungName): EngineError {
  return new EngineError('ISOLATION_UNSUPPORTED', `Cannot use isolation ${wanted}: this rung is not built yet`, {
    hint: 'Set BERTH_ISOLATION (in the Action the input isolation) to root, userns-full, userns or auto',
  });
}

function impossible(
  wanted: RungName | 'auto',
  rungs: readonly RungName[],
  direct: ProbeReply,
  viaSudo: SudoProbe,
  missing: string | undefined,
): EngineError {
  const facts = rungs.flatMap((name) => {
    const rung = rungOf(direct, name);
    const reasons = [`${name}: ${(name === 'userns' && missing) || (rung?.reason ?? 'the helper does not know it')}`];
    // Once is enough: it is the same for each of them.
    if (name === rungs.find((one) => OF_ROOT.includes(one)) && viaSudo.refusal) reasons.push(`${name} through sudo: ${viaSudo.refusal}`);
    const sudoRung = OF_ROOT.includes(name) && viaSudo.probe ? rungOf(viaSudo.probe, name) : undefined;
    if (sudoRung) reasons.push(`${name} through sudo: ${sudoRung.reason ?? 'not possible'}`);
    return reasons;
  });
  const hints = rungs
    .map((name) => ((OF_ROOT.includes(name) && viaSudo.probe && rungOf(viaSudo.probe, name)) || rungOf(direct, name))?.hint)
    .filter((hint) => hint !== null && hint !== undefined);
  return new EngineError(
    'ISOLATION_IMPOSSIBLE',
    `Cannot ${wanted === 'auto' ? 'isolate processes here' : `use isolation ${wanted}`}: ${facts.join('; ')}`,
    { hint: hints.length > 0 ? [...new Set(hints)].join('; ') : SWITCHES },
  );
}

const SWITCHES =
  'Run as root, allow `sudo -n` without a password, or give this user ranges in /etc/subuid and /etc/subgid and install newuidmap (package uidmap)';

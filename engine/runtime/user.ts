import { EngineError } from '../base/errors.ts';

/** A line of `/etc/passwd`. */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A line of `/etc/group`. */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The users and groups that an image knows. */
export interface Accounts {
  readonly users: readonly PasswdEntry[];
  readonly groups: readonly GroupEntry[];
}

/** Who a process runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** Largest id that a `USER` may name: beyond, kernels and tools disagree about the sign. */
const MAX_ID = 2 ** 31 - 1;

/** The entries of `/etc/passwd`; a line that is none is left out, as the C library does. */
export function parsePasswd(text: string): readonly PasswdEntry[] {
  return lines(text).flatMap((line) => {
    const [name = '', , uid, gid, , home = ''] = line.split(':');
    const [u, g] = [toId(uid), toId(gid)];
    return name && u !== undefined && g !== undefined ? [{ name, uid: u, gid: g, home }] : [];
  });
}

/** The entries of `/etc/group`. */
export function parseGroup(text: string): readonly GroupEntry[] {
  return lines(text).flatMap((line) => {
    const [name = '', , id, members = ''] = line.split(':');
    const gid = toId(id);
    return name && gid !== undefined ? [{ name, gid, members: members.split(',').filter(Boolean) }] : [];
  });
}

/**
 * Who `user` is: `name`, `uid`, either with `:group` or `:gid`; empty means uid 0. A number that the image does not know stands for itself,
 * with group 0, as with Docker. Without an explicit group the user is also in every group that lists it.
 *
 * @throws `USER_NOT_FOUND` naming the part; `INVALID_USER` for a number out of range, which is never taken for a name
 */
export function lookupUser(user: string, accounts: Accounts, groupAdd: readonly string[] = []): Identity {
  const [who = '', group, ...rest] = user.split(':');
  if (rest.length > 0 || (group === '' && user.includes(':') && who === '')) {
    throw new EngineError('INVALID_USER', `Cannot run as user "${user}": wanted user, user:group, uid or uid:gid`);
  }
  const entry = findUser(who, accounts);
  const uid = entry?.uid ?? (who === '' ? 0 : numberOf(who, user, 'user'));
  const gid = group ? findGroup(group, user, accounts) : (entry?.gid ?? 0);
  const listed = group || !entry ? [] : accounts.groups.filter(({ members }) => members.includes(entry.name));
  const added = groupAdd.map((name) => findGroup(name, name, accounts));
  return {
    uid,
    gid,
    // The primary group too: without it, a set-gid program could shed it and pass a rule that excludes it (CVE-2022-36109).
    additionalGids: [...new Set([gid, ...listed.map((found) => found.gid), ...added])],
    home: entry?.home || '/',
  };
}

function findUser(who: string, { users }: Accounts): PasswdEntry | undefined {
  const id = who === '' ? 0 : /^\d+$/.test(who) && Number(who) <= MAX_ID ? Number(who) : undefined;
  return users.find(({ name }) => who !== '' && name === who) ?? users.find(({ uid }) => uid === id);
}

function findGroup(group: string, whole: string, { groups }: Accounts): number {
  return groups.find(({ name }) => name === group)?.gid ?? numberOf(group, whole, 'group');
}

function numberOf(text: string, whole: string, kind: 'user' | 'group'): number {
  if (/^[+-]?\d+$/.test(text)) {
    const id = Number(text);
    if (id >= 0 && id <= MAX_ID && !text.startsWith('-')) return id;
    throw new EngineError(
      'INVALID_USER',
      `Cannot run as "${whole}": ${kind} id ${text} is out of range 0 to ${MAX_ID}`,
    );
  }
  const file = kind === 'user' ? '/etc/passwd' : '/etc/group';
  throw new EngineError(
    'USER_NOT_FOUND',
    `Cannot run as "${whole}": unable to find ${kind} ${text}: no matching entries in ${file}`,
    {
      hint: `create it in the Dockerfile (RUN ${kind}add …) or use a number`,
    },
  );
}

/** An id of a file, which may be beyond what can be given as a number; the last of the kernel's stands for "unchanged". */
function toId(text: string | undefined): number | undefined {
  const id = text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  return id !== undefined && id < 2 ** 32 - 1 ? id : undefined;
}

function lines(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

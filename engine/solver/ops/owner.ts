import { EngineError } from '../../base/errors.ts';
import type { Owner } from '../../native/protocol.ts';

const MAX_ID = 0xffff_ffff - 1;

/**
 * Owner as USER and `--chown` write it, for files: a number alone is user and group, a name brings its group along, and what stands after
 * the colon replaces the group (BuildKit's file ops; not what a process gets).
 *
 * @param identify finds names in the image's passwd and group; not called for numbers
 * @throws `USER_NOT_FOUND`, `INVALID_USER`
 */
export async function resolveOwner(
  text: string,
  identify: (user: string) => Promise<{ readonly uid: number; readonly gid: number }>,
): Promise<Owner> {
  const [user = '', group = ''] = splitOwner(text);
  const { uid, gid } = user === '' ? { uid: 0, gid: 0 } : isNumber(user) ? sameNumber(user) : await identify(user);
  if (group === '') return { uid, gid };
  return { uid, gid: isNumber(group) ? toId(group) : (await identify(`0:${group}`)).gid };
}

function splitOwner(text: string): readonly string[] {
  const parts = text.split(':');
  if (parts.length > 2) {
    throw new EngineError('INVALID_USER', `Cannot use "${text}" as owner: wanted user, user:group, uid or uid:gid`);
  }
  return parts;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function sameNumber(text: string): Owner {
  return { uid: toId(text), gid: toId(text) };
}

function toId(text: string): number {
  const id = Number(text);
  if (id <= MAX_ID) return id;
  throw new EngineError('INVALID_USER', `Cannot use ${text} as owner: ids go from 0 to ${MAX_ID}`);
}

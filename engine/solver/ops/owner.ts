import { EngineError, isEngineError } from '../../base/errors.ts';
import type { Owner } from '../../native/protocol.ts';

const MAX_ID = 0xffff_ffff - 1;

/**
 * Owner as USER and `--chown` write it, for files: a number alone is user and group, a name brings its group along, and what stands after
 * the colon replaces the group (BuildKit's file ops; not what a process gets).
 *
 * @param identify finds names in the image's passwd and group; not called for numbers
 * @param what where the owner is written, for the message
 * @throws `USER_NOT_FOUND` naming what was written and what the stage lacks; `INVALID_USER`
 */
export async function resolveOwner(
  text: string,
  identify: (user: string) => Promise<{ readonly uid: number; readonly gid: number }>,
  what: '--chown' | 'USER' = '--chown',
): Promise<Owner> {
  const [user = '', group = ''] = splitOwner(text);
  const find = async (name: string, kind: 'user' | 'group'): Promise<Owner> => {
    try {
      return await identify(kind === 'user' ? name : `0:${name}`);
    } catch (error) {
      throw isEngineError(error, 'USER_NOT_FOUND') ? missing({ what, text, name, kind }, error) : error;
    }
  };
  const { uid, gid } = user === '' ? { uid: 0, gid: 0 } : isNumber(user) ? sameNumber(user) : await find(user, 'user');
  if (group === '') return { uid, gid };
  return { uid, gid: isNumber(group) ? toId(group) : (await find(group, 'group')).gid };
}

function missing(
  { what, text, name, kind }: Readonly<Record<'what' | 'text' | 'name', string>> & { readonly kind: 'user' | 'group' },
  cause: unknown,
): EngineError {
  const [file, make] = kind === 'user' ? ['/etc/passwd', 'useradd'] : ['/etc/group', 'groupadd'];
  const written = what === 'USER' ? `USER ${text}` : `${what}=${text}`;
  const numbers = what === 'USER' ? 'USER 1000:1000' : `${what}=1000:1000`;
  return new EngineError('USER_NOT_FOUND', `Cannot use ${written}: the stage has no ${kind} "${name}" in ${file}`, {
    hint: `Put RUN ${make} ${name} before it, or give ids: ${numbers}`,
    cause,
  });
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

import { afterAll } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Functions that a scripted helper is written with: the protocol's frames and lines, without the engine's code. */
const PRELUDE = `
const fs = require('node:fs');
const head = (kind, length) => { const b = Buffer.alloc(5); b[0] = kind; b.writeUInt32BE(length, 1); return b; };
const readExactly = (length) => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    let count;
    try { count = fs.readSync(0, bytes, at, length - at); } catch (error) { if (error.code === 'EAGAIN') continue; throw error; }
    if (count === 0) return undefined;
    at += count;
  }
  return bytes;
};
const readFrame = () => {
  const start = readExactly(5);
  if (!start) return undefined;
  return { kind: start[0], payload: readExactly(start.readUInt32BE(1)) ?? Buffer.alloc(0) };
};
const readRequest = () => JSON.parse(readFrame().payload.toString());
const writeAll = (fd, bytes) => { for (let at = 0; at < bytes.length; ) { try { at += fs.writeSync(fd, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; } } };
const data = (text) => { const bytes = Buffer.from(text); writeAll(1, Buffer.concat([head(2, bytes.length), bytes])); };
const errorData = (text) => { const bytes = Buffer.from(text); writeAll(1, Buffer.concat([head(5, bytes.length), bytes])); };
const end = () => writeAll(1, head(0, 0));
const say = (line) => writeAll(2, Buffer.from((typeof line === 'string' ? line : JSON.stringify(line)) + '\\n'));
const untilEnd = () => { const frames = []; for (let frame = readFrame(); frame && frame.kind !== 0; frame = readFrame()) frames.push(frame); return frames; };
`;

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/**
 * An executable that plays a helper which misbehaves in a way that the real one cannot be made to; `script` is CommonJS.
 * It is gone after the last test of the file.
 *
 * @returns its absolute path
 */
export async function scriptedHelper(script: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-scripted-'));
  folders.push(folder);
  const path = join(folder, 'helper');
  await writeFile(path, `#!${process.execPath}\n${PRELUDE}\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

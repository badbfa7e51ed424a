import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dataFrames, encodeFrame, readFrames, type Frame } from '../../../engine/native/frame.ts';
import { MAX_FRAME } from '../../../engine/native/protocol.ts';
import { runs } from '../../helpers/property.ts';

async function read(chunks: readonly Uint8Array[]): Promise<Frame[]> {
  const frames: Frame[] = [];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks;
  };
  for await (const frame of readFrames(source())) frames.push(frame);
  return frames;
}

describe('frames', () => {
  test('come out as they went in, however the stream is cut', async () => {
    const frame = fc.record({ kind: fc.integer({ min: 0, max: 5 }), payload: fc.uint8Array({ maxLength: 50 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 30 })), async (frames, cuts) => {
        let rest = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const chunks = cuts.map((cut) => {
          const chunk = rest.subarray(0, cut);
          rest = rest.subarray(cut);
          return chunk;
        });
        const found = await read([...chunks, rest]);
        expect(found.map(({ kind, payload }) => [kind, [...payload]])).toEqual(frames.map(({ kind, payload }) => [kind, [...payload]]));
      }), runs());
  });

  test('end quietly where the stream ends inside one', async () => {
    expect(await read([encodeFrame(2, Buffer.from('abc')).subarray(0, 6)])).toEqual([]);
  });

  test('over the limit are refused in both directions', async () => {
    const head = Buffer.from([2, 0xff, 0, 0, 0]);
    await expect(read([head])).rejects.toThrow(RangeError);
    expect(() => encodeFrame(2, new Uint8Array(MAX_FRAME + 1))).toThrow(RangeError);
  });

  test('of data are cut at the limit', () => {
    expect([...dataFrames(new Uint8Array(MAX_FRAME + 1))].map(({ length }) => length)).toEqual([MAX_FRAME + 5, 6]);
    expect([...dataFrames(new Uint8Array(0))]).toEqual([]);
  });
});

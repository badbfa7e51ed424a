// Programs that nothing can run, with the headers that say what a real one would need.

/** A 64-bit program or library of this machine. */
export function elfFile(
  needs: {
    readonly interpreter?: string;
    readonly needed?: readonly string[];
    readonly runPath?: string;
    readonly machine?: number;
  } = {},
): Buffer {
  const { interpreter, needed = [], runPath, machine = process.arch === 'x64' ? 62 : 183 } = needs;
  const texts = [interpreter ?? '', ...needed, runPath ?? ''];
  const strings = Buffer.from(`\0${texts.map((text) => `${text}\0`).join('')}`);
  const offsetOf = (index: number): number => texts.slice(0, index).reduce((sum, text) => sum + text.length + 1, 1);
  const [head, segment] = [64, 56];
  const table = head + 3 * segment;
  const dynamic = [
    ...needed.map((_name, index) => [1, offsetOf(index + 1)] as const),
    ...(runPath === undefined ? [] : [[29, offsetOf(texts.length - 1)] as const]),
    [5, table] as const,
    [0, 0] as const,
  ];
  const at = table + strings.length;
  const file = Buffer.concat([Buffer.alloc(table), strings, Buffer.alloc(dynamic.length * 16)]);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(machine, 18);
  file.writeBigUInt64LE(BigInt(head), 32);
  file.writeUInt16LE(segment, 54);
  file.writeUInt16LE(3, 56);
  const put = (index: number, type: number, offset: number, size: number): void => {
    const place = head + index * segment;
    file.writeUInt32LE(type, place);
    for (const field of [8, 16, 24]) file.writeBigUInt64LE(BigInt(offset), place + field);
    for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(size), place + field);
  };
  put(0, 1, 0, file.length);
  if (interpreter !== undefined) put(1, 3, table + 1, interpreter.length + 1);
  if (interpreter !== undefined || needed.length > 0) put(2, 2, at, dynamic.length * 16);
  for (const [index, [tag, value]] of dynamic.entries()) {
    file.writeBigUInt64LE(BigInt(tag), at + index * 16);
    file.writeBigUInt64LE(BigInt(value), at + index * 16 + 8);
  }
  return file;
}

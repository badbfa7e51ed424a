/** Bytes of a shared library that has nothing but a name: as much of ELF (64 bits, little endian) as the dynamic linker reads first. */
export function sharedLibrary(soname: string): Buffer {
  const text = Buffer.from(`\0${soname}\0`);
  const [header, segment, dynamic] = [64, 56, 48];
  const start = header + 2 * segment;
  const file = Buffer.alloc(start + dynamic + text.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(segment, 54);
  file.writeUInt16LE(2, 56);
  const BASE = 0x1000;
  const segments = [
    { type: 1, offset: 0, size: file.length },
    { type: 2, offset: start, size: dynamic },
  ];
  for (const [index, { type, offset, size }] of segments.entries()) {
    const at = header + index * segment;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(BASE + offset), at + 16);
    file.writeBigUInt64LE(BigInt(size), at + 32);
  }
  for (const [index, [tag, value]] of [
    [5, BASE + start + dynamic],
    [14, 1],
    [0, 0],
  ].entries()) {
    file.writeBigUInt64LE(BigInt(tag ?? 0), start + index * 16);
    file.writeBigUInt64LE(BigInt(value ?? 0), start + index * 16 + 8);
  }
  file.set(text, start + dynamic);
  return file;
}

/** The first free address of 172.31.0.0/16; every container has its own namespace, so that it is only a name in it. */
export function freeAddress(used: ReadonlySet<string>): string {
  for (let host = 2; host < 0xffff; host += 1) {
    const address = `172.31.${host >> 8}.${host & 0xff}`;
    // .0 and .255 look like a network and a broadcast address to programs.
    if ((host & 0xff) !== 0 && (host & 0xff) !== 0xff && !used.has(address)) return address;
  }
  return '172.31.0.2';
}

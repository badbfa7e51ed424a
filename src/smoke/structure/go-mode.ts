/** What a file is, beside its bits. */
export type FileKind = 'file' | 'directory' | 'link' | 'character-device' | 'block-device' | 'fifo' | 'socket';

const LETTERS: Readonly<Record<FileKind, string>> = {
  file: '',
  directory: 'd',
  link: 'L',
  'character-device': 'Dc',
  'block-device': 'D',
  fifo: 'p',
  socket: 'S',
};

/** A file's mode as Go writes it, which is what `permissions` is compared with: `drwxr-xr-x`, `dtrwxrwxrwx` for /tmp, `urwxr-xr-x` for su. */
export function goMode(kind: FileKind, mode: number): string {
  const [device = '', character = ''] = LETTERS[kind];
  const bits = `${mode & 0o4000 ? 'u' : ''}${mode & 0o2000 ? 'g' : ''}`;
  const letters = `${device}${bits}${character}${mode & 0o1000 ? 't' : ''}`;
  const permissions = [...'rwxrwxrwx'].map((letter, index) => (mode & (1 << (8 - index)) ? letter : '-')).join('');
  return `${letters === '' ? '-' : letters}${permissions}`;
}

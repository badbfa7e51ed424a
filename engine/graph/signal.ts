import { suggest } from '../base/suggest.ts';
import { SyntaxMistake } from '../dockerfile/index.ts';

const NAMES: readonly string[] = (
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU ' +
  'UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
).split(' ');

/**
 * Checks a signal of STOPSIGNAL: a number, or a name with or without SIG.
 *
 * @throws SyntaxMistake
 */
export function checkSignal(signal: string): string {
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const isNumber = /^\d+$/.test(signal) && Number(signal) > 0 && Number(signal) <= 64;
  const isRealtime = /^RTMIN\+(?:[1-9]|1[0-5])$|^RTMAX-(?:[1-9]|1[0-4])$/.test(name);
  if (isNumber || isRealtime || NAMES.includes(name)) return signal;
  const near = suggest(name, NAMES);
  throw new SyntaxMistake(
    'bad-value',
    `STOPSIGNAL ${signal} is no signal`,
    near === undefined ? 'Write a name such as SIGTERM, or a number up to 64' : `Did you mean SIG${near}?`,
  );
}

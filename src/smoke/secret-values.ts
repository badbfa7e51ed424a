import { decodePercent } from '../../engine/index.ts';
import { linesOf } from './build-run.ts';

/** Names whose values nobody prints. `MAX_TOKENS` and `TOKENIZERS_PARALLELISM` are none. */
const NAME =
  /(?:^|[_.-])(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PW|SECRET|SECRETS|TOKEN|[A-Z0-9]*KEY|CREDENTIALS?|AUTH|AUTHORIZATION|DSN|[A-Z0-9]+PASSWORD|[A-Z0-9]+SECRET|[A-Z0-9]+TOKEN)(?:[_-](?:B64|BASE64|JSON|PEM|VALUE|\d+))?$/i;
/** Shorter values and switches are in every log. */
const SHORTEST = 8;
/** A number under such a name may be a count or an id. */
const COUNTED = /(?:TOKEN|KEY)(?:[_-]\w+)?$/i;
/** The password goes to the last `@`: many a one has a slash that should have been written `%2F`. */
const LOGIN = /[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:([^\s]+)@/gi;

/**
 * What is masked of variables that a test gives to a container in plain text (spec/bad-inputs.md, 222): values whose name says that they are secret,
 * and passwords in URLs. Variables that are taken over from the step are masked whatever they are called.
 *
 * @param pairs `NAME=value`
 */
export function secretValues(pairs: readonly string[]): readonly string[] {
  return pairs.flatMap((pair) => {
    const at = pair.indexOf('=');
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    const passwords = [...value.matchAll(LOGIN)].flatMap(([, password = '']) => [password, decodePercent(password)]);
    const isCount = COUNTED.test(name) && !Number.isNaN(Number(value));
    const isSecret = NAME.test(name) && value.trim().length >= SHORTEST && !isCount;
    return [...new Set([...(isSecret ? linesOf(value) : []), ...passwords.flatMap(linesOf)])];
  });
}

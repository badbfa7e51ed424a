import { EngineError } from '../base/errors.ts';

/** Start of the names by which the helper is told what a container's configuration has no field for. */
const OWN = 'berth.';

/** @throws `ANNOTATION_REFUSED` naming an annotation that would speak to the helper */
export function checkAnnotations(annotations: Readonly<Record<string, string>> = {}): void {
  const taken = Object.keys(annotations).find((name) => name.startsWith(OWN));
  if (taken === undefined) return;
  throw new EngineError(
    'ANNOTATION_REFUSED',
    `Cannot set annotation ${taken}: names that start with ${OWN} are taken`,
    {
      hint: `give it another name: --annotation my.${taken.slice(OWN.length)}=VALUE`,
    },
  );
}

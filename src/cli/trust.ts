import { type Flag, toggle } from './flags.ts';
import { UsageError } from './usage-error.ts';

/** `--disable-content-trust`: on, as with Docker where nobody asks for it, and never off: signatures of Notary are not checked here. */
export const TRUST: Flag<boolean> = {
  ...toggle(
    '--disable-content-trust',
    'what is so in any case: digests are checked, and no signatures of Notary',
    true,
  ),
  parse: (words) => {
    if (words.at(-1) !== 'false') return true;
    throw new UsageError(
      'Cannot use --disable-content-trust=false: signatures of Notary are not checked',
      'name the image by its digest: NAME@sha256:…',
    );
  },
};

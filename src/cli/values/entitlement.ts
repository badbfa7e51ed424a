import { UsageError } from '../usage-error.ts';

/** What a build may be permitted: `network.host`. What buildx may be asked for beside it is not done. @throws `USAGE` */
export function parseEntitlement(word: string): 'network.host' {
  if (word === 'network.host') return word;
  const isKnown = word === 'security.insecure' || /^device(?:=|$)/.test(word);
  throw new UsageError(
    isKnown ? `${word} is not supported yet` : `unknown entitlement ${word}`,
    'network.host can be permitted',
  );
}

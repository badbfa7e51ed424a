const ITEM = /\s*(?:'([^']*)'|"([^"]*)")\s*(,|$)/y;

/**
 * A list that somebody meant as JSON and wrote with single quotes, as JSON: `['a', 'b']` is `["a", "b"]`. undefined for anything else, which
 * includes JSON itself. What is written so is a command for a shell.
 */
export function asJsonList(text: string): string | undefined {
  const inner = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1];
  if (inner === undefined || !inner.includes("'")) return undefined;
  const words: string[] = [];
  ITEM.lastIndex = 0;
  for (let isLast = false; !isLast;) {
    const found = ITEM.exec(inner);
    if (!found) return undefined;
    words.push(JSON.stringify(found[1] ?? found[2]));
    isLast = found[3] === '';
  }
  return `[${words.join(', ')}]`;
}

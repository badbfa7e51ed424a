/** The text without its percent signs; one that begins nothing, or bytes that are no UTF-8, leave it as it is. */
export function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes in Docker's decimal units, three significant digits: `12.3MB`. */
export function humanSize(bytes: number): string {
  return decimalSize(bytes, 3);
}

/** {@link humanSize} with the four digits that Docker gives sums and volumes. */
export function totalSize(bytes: number): string {
  return decimalSize(bytes, 4);
}

function decimalSize(bytes: number, digits: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 - 5 / 10 ** (digits - 2) && unit < SIZES.length - 1) [value, unit] = [value / 1000, unit + 1];
  const text = unit === 0 ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
  return `${text}${SIZES[unit]}`;
}

/** Bytes in binary units, four significant digits, as Docker shows memory: `12.34MiB`. */
export function binarySize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** A span in milliseconds as Docker says it: `5 seconds`, `About a minute`, `3 weeks`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds < 60) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes === 1 ? 'About a minute' : `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours < 48) return hours === 1 ? 'About an hour' : `${hours} hours`;
  const days = Math.floor(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  return days < 730 ? `${Math.floor(days / 30)} months` : `${Math.floor(days / 365)} years`;
}

/** A time in ISO 8601 as Go prints one, in the zone of this machine: `2026-01-31 10:00:00 +0000 UTC`; what is no time stays as it is. */
export function goTime(iso: string, { fraction = false }: { readonly fraction?: boolean } = {}): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const digits = fraction ? (/\.(\d*[1-9])0*Z?$/.exec(iso)?.[0].replace(/0*Z?$/, '') ?? '') : '';
  return `${localOf(time).replace('T', ' ')}${digits} ${offsetOf(time)} ${zoneOf(time)}`;
}

/** A time in ISO 8601 as RFC 3339 in whole seconds, in the zone of this machine: `2026-01-31T10:00:00Z`. */
export function rfc3339(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const offset = offsetOf(time);
  return `${localOf(time)}${offset === '+0000' ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(3)}`}`;
}

function localOf(time: Date): string {
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function offsetOf(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}${String(rest).padStart(2, '0')}`;
}

/** `CET`; the offset again for a zone that has no such name, as Go does. */
function zoneOf(time: Date): string {
  const names = ['en-US', 'en-GB'].map((locale) => {
    const parts = new Intl.DateTimeFormat(locale, { timeZoneName: 'short' }).formatToParts(time);
    return parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  });
  return names.find((name) => /^[A-Z]{3,5}$/.test(name)) ?? offsetOf(time);
}

/** Seconds with one digit: `3.2s`. */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)}s`;
}

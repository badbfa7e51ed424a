import { randomBytes } from 'node:crypto';
import { neutralize } from './neutralize.ts';

/** Properties of an annotation. */
export interface AnnotationProperties {
  readonly title?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly endLine?: number | undefined;
}

/**
 * The one way to the job's log, all of it on one stream: the runner reads stdout and stderr apart, so order across them is not defined.
 *
 * What a container or a Dockerfile prints goes through `foreign`; what only we may say goes through the others. The two never mix: foreign
 * text stands between `stop-commands` with a fresh 128-bit token and that token (hardening.md 5, rule 9).
 */
export interface Commands {
  /** Lines of foreign text, neutralised, while the runner obeys no command. */
  foreign(text: string): void;
  /** One of our own lines. Parts that came from elsewhere are neutralised here too. */
  info(text: string): void;
  /** Visible with debug logging only. */
  debug(text: string): void;
  /** Masks values from now on; never while commands are stopped. */
  mask(values: readonly string[]): void;
  group(title: string): void;
  endGroup(): void;
  annotate(kind: 'error' | 'warning' | 'notice', message: string, properties?: AnnotationProperties): void;
  /** Runs code that speaks to the runner by itself (@actions/*): commands are obeyed while it does. */
  resumed<T>(act: () => T): T;
}

/** @param write takes text for the job's stdout, synchronously */
export function createCommands(write: (text: string) => void): Commands {
  let token: string | undefined;
  let grouped = false;
  const resume = (): string => {
    const line = token === undefined ? '' : `::${token}::\n`;
    token = undefined;
    return line;
  };
  const stop = (): string => {
    if (token !== undefined) return '';
    token = randomBytes(16).toString('hex');
    return `::stop-commands::${token}\n`;
  };
  const command = (name: string, data: string, properties: AnnotationProperties = {}): void =>
    write(`${resume()}${format(name, data, properties)}\n`);
  const endGroup = (): void => {
    if (grouped) command('endgroup', '');
    grouped = false;
  };
  return {
    foreign: (text) => write(`${stop()}${neutralize(text).join('\n')}\n`),
    // Needs no command, so a stop that is in force may stay.
    info: (text) => write(`${neutralize(text).join('\n')}\n`),
    debug: (text) => command('debug', text),
    mask: (values) => {
      const lines = values.flatMap((value) => (value.trim() === '' ? [] : [`${format('add-mask', value)}\n`]));
      if (lines.length > 0) write(`${resume()}${lines.join('')}`);
    },
    group: (title) => {
      endGroup();
      command('group', title);
      grouped = true;
    },
    endGroup,
    annotate: (kind, message, properties) => {
      endGroup();
      command(kind, message, properties);
    },
    resumed: (act) => {
      write(resume());
      return act();
    },
  };
}

/** A workflow command, escaped so that neither data nor a property can end it. */
function format(name: string, data: string, properties: AnnotationProperties = {}): string {
  const list = Object.entries(properties)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`);
  return `::${name}${list.length > 0 ? ` ${list.join(',')}` : ''}::${escapeData(data)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

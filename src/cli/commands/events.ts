import { type Act, escapeControl } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { type Filters, hasLabel, matchesAll, parseFilter } from '../filter.ts';
import { list, single, text } from '../flags.ts';
import { type Fields, renderTemplate } from '../template/index.ts';
import { parseMoment } from '../values/time.ts';

/** Docker's kinds; there is nothing to tell of those that only a daemon or a swarm has. */
const TYPES = 'builder config container daemon image network node plugin secret service volume'.split(' ');

const FILTERS: Filters<Act> = {
  container: ({ kind, id, attributes }, value) =>
    kind === 'container' && (id.startsWith(value) || attributes['name'] === value),
  event: ({ action }, value) => action === value || action.startsWith(`${value}:`),
  image: ({ kind, id, attributes }, value) =>
    kind === 'image' ? id === value || attributes['name'] === value : attributes['image'] === value,
  label: ({ attributes }, value) => hasLabel(attributes, value),
  network: ({ kind, id, attributes }, value) =>
    kind === 'network' && (id.startsWith(value) || attributes['name'] === value),
  type: ({ kind }, value) => kind === value,
  volume: ({ kind, id }, value) => kind === 'volume' && id === value,
};

/** `berth events`: what happened to containers, images and networks of this store, and what happens. */
export const events = defineCommand({
  name: 'events',
  docs: 'Show what happens to containers and images',
  operands: '',
  flags: {
    filter: list('-f, --filter NAME=VALUE', `${Object.keys(FILTERS).join('=, ')}=`, (word) =>
      parseFilter(word, FILTERS, { type: TYPES }),
    ),
    format: text('--format FORMAT', 'json, or a template such as {{.Type}} {{.Action}} {{.Actor.ID}}'),
    since: single('--since TIME', 'from a time, or a duration ago (10m)', (word) => parseMoment(word, Date.now())),
    until: single('--until TIME', 'up to a time, and then end', (word) => parseMoment(word, Date.now())),
  },
  run: async (context, { filter, format, since, until }) => {
    const { events: journal } = await context.engine();
    const from = since ?? Date.now();
    const past = until !== undefined && until <= Date.now();
    const end = until === undefined || past ? undefined : AbortSignal.timeout(until - Date.now());
    const onAct = (act: Act): void => {
      const at = Date.parse(act.time);
      if (at < from || (until !== undefined && at > until) || !matchesAll(act, filter, FILTERS)) return;
      context.stdout.write(
        `${format === undefined ? lineOf(act) : renderTemplate(format, withGoNames(fieldsOf(act)))}\n`,
      );
    };
    const signal = end ? AbortSignal.any([context.signal, end]) : context.signal;
    try {
      await journal.read({ follow: !past, signal, onAct });
    } catch (error) {
      if (!end?.aborted || context.signal.aborted) throw error;
    }
    return 0;
  },
});

/** `2026-01-31T10:00:00.000000000Z container start ID (image=x, name=y)`. */
function lineOf({ time, kind, action, id, attributes }: Act): string {
  const said = Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(', ');
  return escapeControl(`${time} ${kind} ${action} ${id}${said ? ` (${said})` : ''}`);
}

/** Docker's fields of an event. */
function fieldsOf({ time, kind, action, id, attributes }: Act): Fields {
  const fraction = Number(/\.(\d{9})/.exec(time)?.[1] ?? 0);
  const seconds = Math.floor(Date.parse(time) / 1000);
  return {
    ...(kind === 'container' ? { status: action, id, from: attributes['image'] ?? '' } : {}),
    Type: kind,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: seconds,
    timeNano: Number(BigInt(seconds) * 1_000_000_000n + BigInt(fraction)),
  };
}

/** The fields by the names that Docker's templates know, `{{.Time}}`, beside those of its JSON, which `json` alone shows. */
function withGoNames(fields: Fields): Fields {
  const { status = '', id = '', from = '', scope, time, timeNano } = fields;
  const named = { Status: status, ID: id, From: from, Scope: scope, Time: time, TimeNano: timeNano };
  const hidden = Object.entries(named).map(([name, value]) => [name, { value, enumerable: false }] as const);
  return Object.defineProperties({ ...fields }, Object.fromEntries(hidden));
}

import type { AnyCommand } from './command.ts';

/** Shells that words can be completed in. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** The commands to complete. */
export interface CommandTable {
  readonly commands: readonly AnyCommand[];
  readonly groups: Readonly<
    Record<string, { readonly docs: string; readonly commands: Readonly<Record<string, AnyCommand>> }>
  >;
}

/** What can follow a path of words: `''` for `berth` itself, `container` for a group, `container run` for a command. */
interface Entry {
  readonly path: string;
  /** Words with what they mean. */
  readonly words: readonly (readonly [word: string, docs: string])[];
  /** What operands stand for. */
  readonly names: 'containers' | 'images' | 'volumes' | 'networks' | 'files';
  /** Flags that take the next word. */
  readonly valued: readonly string[];
}

/** The script of a shell, made from the table that parses the flags; names of containers and images are asked for when they are needed. */
export function completionScript(shell: Shell, table: CommandTable): string {
  const entries = entriesOf(table);
  return { bash, zsh, fish }[shell](entries);
}

function entriesOf({ commands, groups }: CommandTable): readonly Entry[] {
  const top = [
    ...commands.map(({ name, docs }) => [name, docs] as const),
    ...Object.entries(groups).map(([name, { docs }]) => [name, docs] as const),
  ];
  return [
    plain('', top),
    ...commands.map((command) => entryOf(command.name, command)),
    ...Object.entries(groups).flatMap(([name, group]) => [
      plain(
        name,
        Object.entries(group.commands).map(([word, { docs }]) => [word, docs] as const),
      ),
      ...Object.entries(group.commands).map(([word, command]) => entryOf(`${name} ${word}`, command)),
    ]),
  ];
}

function plain(path: string, words: Entry['words']): Entry {
  return { path, words, names: 'files', valued: [] };
}

function entryOf(path: string, { flags, operands }: AnyCommand): Entry {
  const all = Object.values(flags);
  const spellings = (flag: (typeof all)[number]): readonly string[] => [
    `--${flag.long}`,
    ...(flag.short ? [`-${flag.short}`] : []),
  ];
  return {
    path,
    words: all.map((flag) => [`--${flag.long}`, flag.docs] as const),
    names: namesOf(operands),
    valued: all.filter(({ value }) => value !== undefined).flatMap(spellings),
  };
}

function namesOf(operands: string): Entry['names'] {
  if (/CONTAINER/.test(operands)) return 'containers';
  if (/^\[?(IMAGE|SOURCE|NAME|REPOSITORY)/.test(operands)) return 'images';
  if (/VOLUME/.test(operands)) return 'volumes';
  return /NETWORK/.test(operands) ? 'networks' : 'files';
}

const LISTS: Readonly<Record<Entry['names'], string>> = {
  containers: "berth ps -a --format '{{.Names}}'",
  images: "berth images --format '{{.Repository}}:{{.Tag}}'",
  volumes: 'berth volume ls -q',
  networks: "berth network ls --format '{{.Name}}'",
  files: '',
};

/** In single quotes, as every shell here reads them. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bash(entries: readonly Entry[]): string {
  const fill = (words: string): string => `mapfile -t COMPREPLY < <(${words})`;
  return `# bash completion of berth: source <(berth completion bash)\n${functions(entries, fill)}`;
}

/** What bash and zsh share; `fill` makes the answer of a command's lines. */
function functions(entries: readonly Entry[], fill: (command: string) => string): string {
  const cases = entries.map(
    ({ path, words, names, valued }) =>
      `    ${quote(path)}) words=${quote(words.map(([word]) => word).join(' '))} valued=${quote(` ${valued.join(' ')} `)} list=${quote(LISTS[names])} ;;`,
  );
  return `_berth_entry() {
  case "$1" in
${cases.join('\n')}
    *) return 1 ;;
  esac
}
_berth() {
  local path='' words='' valued='' list='' word index skip=0 current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  _berth_entry ''
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    if ((skip)); then skip=0; continue; fi
    if [[ "$word" == -* ]]; then
      [[ "$word" != *=* && "$valued" == *" $word "* ]] && skip=1
      continue
    fi
    _berth_entry "\${path:+$path }$word" && path="\${path:+$path }$word"
  done
  if ((skip)) || [[ -n "$path" && "$current" != -* && -z "$list" && "$words" == --* ]]; then
    ${fill('compgen -f -- "$current"')}
  elif [[ "$current" != -* && -n "$list" ]]; then
    ${fill('compgen -W "$(eval "$list" 2>/dev/null)" -- "$current"')}
  else
    ${fill('compgen -W "$words" -- "$current"')}
  fi
}
complete -o default -F _berth berth
`;
}

function zsh(entries: readonly Entry[]): string {
  return `#compdef berth
# zsh completion of berth: source <(berth completion zsh)
autoload -U +X bashcompinit && bashcompinit
${functions(entries, (words) => `COMPREPLY=($(${words}))`)}`;
}

function fish(entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, words, names }) => {
    const depth = path === '' ? 0 : path.split(' ').length;
    const test = `__berth_at ${quote(path)}`;
    const flags = words.map(([word, docs]) =>
      word.startsWith('--')
        ? `complete -c berth -n ${quote(test)} -l ${word.slice(2)} -d ${quote(docs)}`
        : `complete -c berth -f -n ${quote(test)} -a ${word} -d ${quote(docs)}`,
    );
    const list =
      depth > 0 && LISTS[names] ? [`complete -c berth -f -n ${quote(test)} -a ${quote(`(${LISTS[names]})`)}`] : [];
    return [...flags, ...list];
  });
  const paths = entries.map(({ path }) => quote(path)).join(' ');
  return `# fish completion of berth: berth completion fish | source
set -g __berth_paths ${paths}
function __berth_at
    set -l path ''
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        set -l next (string trim -- "$path $word")
        contains -- $next $__berth_paths; and set path $next
    end
    test "$path" = "$argv[1]"
end
${lines.join('\n')}
`;
}

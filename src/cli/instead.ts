/**
 * What to type instead of a command or flag of Docker's that is not done: by `command --flag`, by the flag alone, or by the command's path.
 */
export function insteadOf(path: string, flag?: string): string {
  if (flag === undefined) return COMMANDS[path] ?? COMMANDS[path.split(' ')[0] ?? ''] ?? 'berth --help lists what is';
  const known = FLAGS[`${path} ${flag}`] ?? FLAGS[`${path.split(' ').at(-1) ?? ''} ${flag}`] ?? FLAGS[flag];
  return (
    known ?? `leave ${flag} out; ${['berth', path, '--help'].filter(Boolean).join(' ')} lists the flags that are done`
  );
}

const NO_DAEMON = 'leave it out: berth has no daemon to reach; BERTH_ROOT chooses the store';
const NO_SWARM = 'berth runs on one machine; start each container with berth run';
const PLATFORM = 'leave it out, or name the image for that platform by its id: berth images -a lists it';
const ONE_STORE = 'leave it out: images of a build are in the store that berth run uses';

const COMMANDS: Readonly<Record<string, string>> = {
  buildx: 'berth build does what docker buildx build does',
  compose: 'start each service with berth run',
  context: 'BERTH_ROOT chooses the store; there is no daemon to choose',
  manifest: 'berth inspect IMAGE shows the image that was pulled',
  plugin: 'berth has no plugins',
  checkpoint: 'berth commit keeps the files of a container, not its memory',
  config: NO_SWARM,
  node: NO_SWARM,
  secret: 'give a file with berth run -v "$PWD/secret:/run/secrets/name:ro"',
  service: NO_SWARM,
  stack: NO_SWARM,
  swarm: NO_SWARM,
  trust: 'name an image by its digest: berth pull NAME@sha256:…',
  search: "search in the registry's own pages, and give the name to berth pull",
  smoke: 'berth ci builds and smoke-tests an image',
  'volume update':
    'it changes volumes of a cluster alone, and berth runs on one machine: berth volume create makes another',
};

const FLAGS: Readonly<Record<string, string>> = {
  '-H': NO_DAEMON,
  '--host': NO_DAEMON,
  // Before a command alone: `build -c` is another flag.
  ' -c': NO_DAEMON,
  '--context': NO_DAEMON,
  '--tls': NO_DAEMON,
  '--tlscacert': NO_DAEMON,
  '--tlscert': NO_DAEMON,
  '--tlskey': NO_DAEMON,
  '--tlsverify': NO_DAEMON,
  ' -l': 'leave it out: berth has no daemon that writes logs',
  '--log-level': 'leave it out: berth has no daemon that writes logs',
  '-D': 'leave it out; berth build --progress plain shows every step',
  '--debug': 'leave it out; berth build --progress plain shows every step',
  '--platform': PLATFORM,
  '--isolation': 'leave it out: BERTH_ISOLATION chooses the rung',
  '--use-api-socket': NO_DAEMON,
  '--load': ONE_STORE,
  '--builder': 'leave it out: there is one builder',
  '--squash': 'leave it out; a stage that copies the files (COPY --from) makes one layer of them',
  '--compress': 'leave it out: the context is read where it lies',
  '--kernel-memory': 'leave it out: Linux has dropped this limit',
  '--cpu-percent': 'leave it out: it is a flag for Windows',
  '--cpu-count': 'leave it out: it is a flag for Windows',
  '--io-maxbandwidth': 'leave it out: it is a flag for Windows',
  '--io-maxiops': 'leave it out: it is a flag for Windows',
  '--cpu-rt-period':
    'leave it out: no kernel of a distribution shares realtime among cgroups; --cpus and --cpu-shares do',
  '--cpu-rt-runtime':
    'leave it out: no kernel of a distribution shares realtime among cgroups; --cpus and --cpu-shares do',
  '--storage-opt': 'leave it out: a container may fill the file system of BERTH_ROOT',
  'rm -l': 'leave it out: berth rm removes the container, and its links with it',
  'rm --link': 'leave it out: berth rm removes the container, and its links with it',
  'build --push': 'berth build -t NAME . && berth push NAME',
  'build -o': 'berth build -t NAME . && berth save NAME -o image.tar',
  'build --output': 'berth build -t NAME . && berth save NAME -o image.tar',
  'images --tree': 'berth images lists the same images; each is for one platform',
};

/** What becomes of an input of docker/build-push-action when a workflow moves over. */
export type Fate =
  | { readonly done: true }
  /** `idle` are the values that ask for nothing; any other value is an error with this hint. */
  | { readonly done: false; readonly idle: readonly string[]; readonly hint: string };

const done: Fate = { done: true };

function refused(hint: string, ...idle: string[]): Fate {
  return { done: false, idle, hint };
}

/** The 33 inputs of docker/build-push-action v7, each done or refused by name. */
export const BUILD_PUSH_INPUTS: Readonly<Record<string, Fate>> = {
  'add-hosts': done,
  allow: done,
  annotations: done,
  attests: refused('Delete the line and attest the digest output with actions/attest'),
  'build-args': done,
  'build-contexts': done,
  builder: refused('Delete the line, and the docker/setup-buildx-action step: no builder is needed'),
  'cache-from': done,
  'cache-to': done,
  call: refused('Delete the line: this action builds; lint warnings of the Dockerfile are annotated anyway', 'build'),
  'cgroup-parent': refused('Delete the line: steps run in the cgroup of the job'),
  context: done,
  file: done,
  'github-token': done,
  labels: done,
  load: done,
  network: done,
  'no-cache': done,
  'no-cache-filters': done,
  outputs: done,
  platforms: done,
  provenance: refused('Delete the line and attest the digest output with actions/attest', 'false'),
  pull: done,
  push: done,
  sbom: refused('Delete the line and attest the digest output with actions/attest', 'false'),
  secrets: done,
  'secret-envs': done,
  'secret-files': done,
  'shm-size': done,
  ssh: done,
  tags: done,
  target: done,
  ulimit: done,
};

/** Inputs that docker/build-push-action does not have. */
export const OWN_INPUTS = [
  'smoke-test',
  'registry',
  'username',
  'password',
  'isolation',
  'ca-file',
  'build-ca',
  'registry-mirrors',
  'cache',
  'cache-max-size',
  'cache-mounts',
  'cache-signing-key',
  'image',
  'oci-layout',
  'allow-secret-in-layer',
  'summary',
] as const;

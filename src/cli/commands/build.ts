import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  escapeControl,
  type BuildContext,
  type BuildOutput,
  type BuildResult,
  hostPlatform,
  type Platform,
  type SshAgent,
} from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { choice, list, single, text, texts, toggle, type Flag, type Values } from '../flags.ts';
import { PROGRESS, withRenderer } from '../progress/index.ts';
import { OperandsError, UsageError } from '../usage-error.ts';
import { parseEntitlement } from '../values/entitlement.ts';
import { parseExtraHost } from '../values/host.ts';
import { parseBuildArg, parseLabel } from '../values/label.ts';
import { answerCall, parseCall } from './build-call.ts';
import { parseAnnotation, parseCacheFrom, parseCacheTo, parseOutput } from '../values/output.ts';
import { TRUST } from '../trust.ts';
import { parseSecret, parseSsh } from '../values/secret.ts';
import { parseSize } from '../values/size.ts';
import { parseUlimit } from '../values/ulimit.ts';
import { filesOf, parseNamedContext } from './build-context.ts';
import { parsePlatform } from './transfer.ts';

const FLAGS = {
  addHost: list('--add-host HOST:IP', 'add a line to /etc/hosts of RUN', parseExtraHost),
  allow: list('--allow ENTITLEMENT', 'permit network.host to RUN --network=host', parseEntitlement),
  allowSecretInLayer: toggle('--allow-secret-in-layer', 'build all the same when a secret would be in the image'),
  attest: list('--attest ATTESTATION', 'attest nothing, as is done anyway: type=sbom,disabled=true', requireDisabled),
  annotation: list('--annotation NAME=VALUE', 'annotate the manifest', parseAnnotation),
  buildArg: list('--build-arg NAME[=VALUE]', 'set an ARG', (word, { lookup }) => parseBuildArg(word, lookup)),
  buildCa: toggle('--build-ca', 'lend the bundle of certificate authorities to RUN, in no layer and no key'),
  buildContext: list('--build-context NAME=VALUE', 'use files or an image under a name', (word, { cwd }) =>
    parseNamedContext(word, cwd),
  ),
  call: single('--call METHOD', 'build, or tell: check, outline or targets, with ,format=json', parseCall),
  check: toggle('--check', 'shorthand for --call=check'),
  cacheFrom: list(
    '--cache-from SOURCE',
    'read a build cache: type=registry,ref=NAME or type=local,src=FOLDER',
    (word, { cwd }) => parseCacheFrom(word, cwd),
  ),
  cacheTo: list(
    '--cache-to TARGET',
    'write the build cache: type=registry,ref=NAME, type=local,dest=FOLDER or type=inline, mode=min|max',
    (word, { cwd }) => parseCacheTo(word, cwd),
  ),
  forceRm: settled('--force-rm', 'nothing of a step that failed is kept, as is done anyway'),
  explain: toggle('--explain', 'say why each step ran although there is a cache'),
  file: text('-f, --file FILE', 'the Dockerfile (default Dockerfile in the context)'),
  iidfile: text('--iidfile FILE', 'write the image id to a file'),
  label: list('--label NAME=VALUE', 'set a label', parseLabel),
  load: toggle('--load', 'keep the image in the store, as is done without any --output'),
  metadataFile: text('--metadata-file FILE', 'write the result as JSON to a file'),
  network: choice('--network MODE', 'network of RUN', ['default', 'host', 'none']),
  noCache: toggle('--no-cache', 'use nothing from the build cache'),
  noCacheFilter: texts('--no-cache-filter STAGE', 'build that stage without cache'),
  output: list(
    '-o, --output OUTPUT',
    'what to make: FOLDER, - or type=image|registry|docker|oci|tar|local,dest=…',
    (word, { cwd }) => parseOutput(word, cwd),
  ),
  platform: list(
    '--platform PLATFORM[,PLATFORM...]',
    'what the image is for; steps that run need such a machine, or qemu-user-static',
    parsePlatforms,
  ),
  progress: choice('--progress KIND', 'how to show progress', PROGRESS),
  provenance: single('--provenance false', 'attest nothing, as is done anyway', requireFalse),
  pull: toggle('--pull', 'ask the registry again for base images that are in the store'),
  push: toggle('--push', 'push the image under its names'),
  quiet: toggle('-q, --quiet', 'show no progress and print the image id'),
  rm: settled('--rm', 'nothing of a step is kept but its layer, as is done anyway'),
  sbom: single('--sbom false', 'list no packages, as is done anyway', requireFalse),
  disableContentTrust: TRUST,
  secret: list('--secret SECRET', 'lend a secret to RUN: id=name[,src=FILE|,env=VARIABLE]', parseSecret),
  shmSize: single('--shm-size SIZE', 'size of /dev/shm in RUN', parseSize),
  ssh: list('--ssh AGENT', 'lend an SSH agent to RUN: default|ID[=SOCKET]', parseSsh),
  tag: texts('-t, --tag NAME', 'name the image'),
  target: text('--target STAGE', 'build that stage'),
  ulimit: list('--ulimit NAME=SOFT[:HARD]', 'set a limit in RUN', parseUlimit),
};

/** A switch of what holds anyway, which scripts turn on. */
function settled(names: string, docs: string): Flag<boolean> {
  const flag = toggle(names, docs, true);
  const parse: Flag<boolean>['parse'] = (words, context) => {
    if (flag.parse(words, context)) return true;
    throw new UsageError(`Cannot use --${flag.long}=false: not supported yet`, 'leave it out');
  };
  return { ...flag, parse };
}

/** Attestations are not made; scripts say so. */
function requireFalse(word: string): false {
  if (['false', '0'].includes(word)) return false;
  throw new UsageError('only false is supported yet', ATTEST);
}

const ATTEST = 'attest the digest of the image with a tool of its own';

/** `--attest type=provenance,disabled=true`, by which scripts of buildx switch one off. */
function requireDisabled(word: string): false {
  if (/(?:^|,)disabled=(?:true|1)(?:,|$)/.test(word)) return false;
  throw new UsageError('only disabled=true is supported yet', ATTEST);
}

const REFUSED = (
  'builder cgroup-parent compress cpu-period cpu-quota c ' +
  'cpu-shares cpuset-cpus cpuset-mems D debug isolation m memory memory-swap ' +
  'policy resource security-opt squash'
).split(' ');

/** `berth build`. */
export const build = defineCommand({
  name: 'build',
  docs: 'Build an image from a Dockerfile',
  operands: 'CONTEXT',
  flags: FLAGS,
  refused: REFUSED,
  readFirst: ['shmSize', 'ulimit'],
  run: async (context, values, [operand = '']) => {
    const files = await filesOf(operand, values.file, context);
    const targets = outputsOf(values, context);
    const engine = await context.engine({ buildCa: values.buildCa });
    const request = {
      ...files,
      contexts: Object.fromEntries(values.buildContext),
      target: values.target,
      buildArgs: buildArgsOf(values, context),
      labels: Object.fromEntries(values.label),
      tags: values.tag,
      noCache: values.noCache,
      noCacheFilter: values.noCacheFilter,
      platforms: values.platform.flat(),
      outputs: targets,
      annotations: Object.fromEntries(values.annotation),
      cacheFrom: values.cacheFrom,
      cacheTo: values.cacheTo,
      explain: values.explain,
      pull: values.pull,
      secrets: values.secret,
      ssh: agentsOf(values.ssh, files.context, context),
      allowSecretInLayer: values.allowSecretInLayer,
      network: values.network,
      allowHostNetwork: values.allow.includes('network.host'),
      extraHosts: values.addHost,
      shmSize: values.shmSize,
      ulimits: values.ulimit,
    };
    const call = values.check ? parseCall('check') : values.call;
    if (call && call.kind !== 'build') return await answerCall(context, engine, call, request);
    const result = await withRenderer(values.quiet ? 'quiet' : (values.progress ?? 'auto'), context, async (onEvent) =>
      engine.build(request, { onEvent, signal: context.signal }),
    );
    writeResults(values, result);
    if (values.quiet) context.stdout.write(`${result.imageId}\n`);
    else if (values.progress !== 'rawjson') context.stderr.write(summaryOf(result));
    return 0;
  },
});

/** `linux/amd64,linux/arm64`; `local` is this machine. */
function parsePlatforms(text: string): readonly Platform[] {
  return text.split(',').map((word) => (word.trim() === 'local' ? hostPlatform() : parsePlatform(word.trim())));
}

/** As with docker's, a repository over ssh as context is asked for with the agent at hand. */
function agentsOf(asked: readonly SshAgent[], files: BuildContext, context: Context): readonly SshAgent[] {
  const isOverSsh = typeof files !== 'string' && files.type === 'git' && !/^(?:https?|git):/.test(files.remote);
  const socket = context.lookup('SSH_AUTH_SOCK');
  // Nobody asked for it: one that is gone is none.
  const isGiven = asked.some(({ id }) => id === 'default') || !socket || !existsSync(resolve(context.cwd, socket));
  return isOverSsh && !isGiven ? [...asked, parseSsh('default', context)] : asked;
}

/** SOURCE_DATE_EPOCH of the caller is a build argument, as with docker's. */
function buildArgsOf({ buildArg }: Values<typeof FLAGS>, { lookup }: Context): Readonly<Record<string, string>> {
  const epoch = lookup('SOURCE_DATE_EPOCH');
  return {
    ...(epoch ? { SOURCE_DATE_EPOCH: epoch } : {}),
    ...Object.fromEntries(buildArg.filter((pair) => pair !== undefined)),
  };
}

/** Outputs with `--push` and `--load` among them. @throws {OperandsError} when standard output is not free for an archive */
function outputsOf(values: Values<typeof FLAGS>, { stdout }: Context): readonly BuildOutput[] {
  const { output, push, load, quiet } = values;
  const onStdout = output.filter(({ toStdout }) => toStdout);
  if (onStdout.length > 1)
    throw new OperandsError('Cannot write two outputs to standard output', 'give one of them a file');
  if (onStdout.length > 0 && stdout.isTTY)
    throw new OperandsError(
      'Cannot write to the terminal: these are bytes of an archive',
      'use dest=FILE, or redirect',
    );
  if (onStdout.length > 0 && quiet)
    throw new OperandsError(
      'Cannot use --quiet with an output on standard output: the image id goes there',
      'use --iidfile FILE',
    );
  const asked = output.map(({ toStdout, ...rest }): BuildOutput => ({
    ...rest,
    ...(toStdout ? { write: (chunk: Uint8Array) => stdout.send(chunk) } : {}),
    ...(push && rest.type === 'image' ? { push: true } : {}),
  }));
  const isPushed = asked.some((one) => one.push === true || one.type === 'registry');
  return [
    ...asked,
    ...(push && !isPushed ? [{ type: 'registry' } as const] : []),
    ...(load && asked.length > 0 ? [{ type: 'docker' } as const] : []),
  ];
}

function writeResults({ iidfile, metadataFile }: Values<typeof FLAGS>, result: BuildResult): void {
  if (iidfile !== undefined) writeFileSync(iidfile, result.imageId);
  if (metadataFile === undefined) return;
  const metadata = {
    ...(result.platforms ? {} : { 'containerimage.config.digest': result.imageId }),
    ...(result.manifest
      ? { 'containerimage.digest': result.manifest.digest, 'containerimage.descriptor': result.manifest }
      : {}),
    'image.name': result.names.join(','),
  };
  writeFileSync(metadataFile, `${JSON.stringify(metadata, null, 2)}\n`);
}

function summaryOf({ imageId, names, steps, pushed = [], explanations = [] }: BuildResult): string {
  const named = names.map((name) => ` naming to ${name}\n`).join('');
  const gone = pushed.map(({ name, digest }) => ` pushed ${name}@${digest}\n`).join('');
  const why = explanations.map(({ name, reason }) => `${escapeControl(name)}\n  ${escapeControl(reason)}\n`).join('');
  return `${imageId}\n${named}${gone}${steps.total} steps: ${steps.cached} cached, ${steps.executed} executed\n${why}`;
}

import { writeFileSync } from 'node:fs';
import type { BuildResult } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { choice, list, single, text, texts, toggle, type Values } from '../flags.ts';
import { PROGRESS, withRenderer } from '../progress/index.ts';
import { UsageError } from '../usage-error.ts';
import { parseBuildArg, parseLabel } from '../values/label.ts';
import { answerCall, parseCall } from './build-call.ts';
import { contextOf, fileOf } from './build-context.ts';
import { ownPlatform, parsePlatform } from './transfer.ts';

const FLAGS = {
  buildArg: list('--build-arg NAME[=VALUE]', 'set an ARG', (word, { lookup }) => parseBuildArg(word, lookup)),
  buildCa: toggle('--build-ca', 'lend the bundle of certificate authorities to RUN, in no layer and no key'),
  call: single('--call METHOD', 'build, or tell: check, outline or targets, with ,format=json', parseCall),
  check: toggle('--check', 'shorthand for --call=check'),
  file: text('-f, --file FILE', 'the Dockerfile (default Dockerfile in the context)'),
  iidfile: text('--iidfile FILE', 'write the image id to a file'),
  label: list('--label NAME=VALUE', 'set a label', parseLabel),
  metadataFile: text('--metadata-file FILE', 'write the result as JSON to a file'),
  noCache: toggle('--no-cache', 'use nothing from the build cache'),
  platform: single('--platform PLATFORM', "this machine's own only", parsePlatform),
  progress: choice('--progress KIND', 'how to show progress', PROGRESS),
  pull: toggle('--pull', 'ask the registry again for base images that are in the store'),
  quiet: toggle('-q, --quiet', 'show no progress and print the image id'),
  tag: texts('-t, --tag NAME', 'name the image'),
  target: text('--target STAGE', 'build that stage'),
};

const REFUSED = (
  'add-host allow annotation attest builder build-context cache-from cache-to cgroup-parent compress ' +
  'cpu-period cpu-quota c cpu-shares cpuset-cpus cpuset-mems D debug disable-content-trust force-rm isolation load m ' +
  'memory memory-swap network no-cache-filter o output policy provenance push rm sbom secret security-opt shm-size ' +
  'squash ssh ulimit'
).split(' ');

/** `berth build`. */
export const build = defineCommand({
  name: 'build',
  docs: 'Build an image from a Dockerfile',
  operands: 'CONTEXT',
  flags: FLAGS,
  refused: REFUSED,
  run: async (context, values, [operand = '']) => {
    const directory = contextOf(operand, context.cwd);
    checkPlatform(values.platform);
    const engine = await context.engine({ buildCa: values.buildCa });
    const request = {
      context: directory,
      ...(values.file === undefined ? {} : { file: fileOf(values.file, context.cwd) }),
      target: values.target,
      buildArgs: Object.fromEntries(values.buildArg.filter((pair) => pair !== undefined)),
      labels: Object.fromEntries(values.label),
      tags: values.tag,
      noCache: values.noCache,
      pull: values.pull,
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

function checkPlatform(platform: Values<typeof FLAGS>['platform']): void {
  const own = ownPlatform();
  if (platform === undefined || (platform.architecture === own.architecture && platform.variant === undefined)) return;
  throw new UsageError(
    `Cannot build for ${platform.os}/${platform.architecture}: only ${own.os}/${own.architecture}, this machine's own, is supported yet`,
  );
}

function writeResults({ iidfile, metadataFile }: Values<typeof FLAGS>, result: BuildResult): void {
  if (iidfile !== undefined) writeFileSync(iidfile, result.imageId);
  if (metadataFile === undefined) return;
  const metadata = {
    'containerimage.config.digest': result.imageId,
    ...(result.manifest
      ? { 'containerimage.digest': result.manifest.digest, 'containerimage.descriptor': result.manifest }
      : {}),
    'image.name': result.names.join(','),
  };
  writeFileSync(metadataFile, `${JSON.stringify(metadata, null, 2)}\n`);
}

function summaryOf({ imageId, names, steps }: BuildResult): string {
  const named = names.map((name) => ` naming to ${name}\n`).join('');
  return `${imageId}\n${named}${steps.total} steps: ${steps.cached} cached, ${steps.executed} executed\n`;
}

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PipelineRequest } from '../../pipeline/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { choice, list, text, texts, toggle, type Values } from '../flags.ts';
import { PROGRESS, withRenderer } from '../progress/index.ts';
import { parseEntitlement } from '../values/entitlement.ts';
import { parseExtraHost } from '../values/host.ts';
import { parseBuildArg, parseLabel } from '../values/label.ts';
import { contextOf, fileOf } from './build-context.ts';

const FLAGS = {
  addHost: list('--add-host HOST:IP', 'add a line to /etc/hosts of RUN', parseExtraHost),
  allow: list('--allow ENTITLEMENT', 'permit network.host to RUN --network=host', parseEntitlement),
  buildArg: list('--build-arg NAME[=VALUE]', 'set an ARG', (word, { lookup }) => parseBuildArg(word, lookup)),
  buildCa: toggle('--build-ca', 'lend the bundle of certificate authorities to RUN, in no layer and no key'),
  file: text('-f, --file FILE', 'the Dockerfile (default Dockerfile in the context)'),
  label: list('--label NAME=VALUE', 'set a label', parseLabel),
  network: choice('--network MODE', 'network of RUN', ['default', 'host', 'none']),
  noCache: toggle('--no-cache', 'use nothing from the build cache'),
  progress: choice('--progress KIND', 'how to show progress', PROGRESS),
  pull: toggle('--pull', 'ask the registry again for base images that are in the store'),
  push: toggle('--push', 'push the image under every tag when it has passed'),
  quiet: toggle('-q, --quiet', 'show the verdict only'),
  smokeTest: text('--smoke-test SPEC', 'auto (default), off, a file, or YAML'),
  tag: texts('-t, --tag NAME', 'name the image when it has passed'),
  target: text('--target STAGE', 'build that stage'),
};

/** `berth ci`: build, smoke-test, and push exactly the image that passed. */
export const ci = defineCommand({
  name: 'ci',
  docs: 'Build, smoke-test, and push exactly the image that passed',
  operands: 'CONTEXT',
  flags: FLAGS,
  run: async (context, values, [operand = '']) => {
    // Read when it is needed: schemas and parsers of smoke tests would slow the start of every other command.
    const { formatReport, runPipeline, verdict } = await import('../../pipeline/index.ts');
    const request = toRequest(context, values, operand);
    const engine = await context.engine({ buildCa: values.buildCa });
    // The report has a timeline of its own.
    const options = { ...context, timeline: false };
    const result = await inFolder(async (folder) => {
      const logged = { ...request, logFile: join(folder, 'container.log') };
      return await withRenderer(values.quiet ? 'quiet' : (values.progress ?? 'auto'), options, async (onEvent) =>
        runPipeline(logged, { engine, onEvent, signal: context.signal }),
      );
    });
    const color = context.stdout.isTTY && !context.plain;
    const { columns } = context.stdout;
    // A failure is told in full, however quiet.
    context.stdout.write(values.quiet && result.ok ? `${verdict(result)}\n` : formatReport(result, { color, columns }));
    return result.ok ? 0 : 1;
  },
});

/** A folder for the time of the work; it goes as well where a second signal ends the process at once. */
async function inFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-ci-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await act(folder);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function toRequest({ cwd, environment }: Context, values: Values<typeof FLAGS>, operand: string): PipelineRequest {
  return {
    context: contextOf(operand, cwd),
    ...(values.file === undefined ? {} : { file: fileOf(values.file, cwd) }),
    target: values.target,
    buildArgs: Object.fromEntries(values.buildArg.filter((pair) => pair !== undefined)),
    labels: Object.fromEntries(values.label),
    tags: values.tag,
    push: values.push,
    smokeTest: values.smokeTest ?? 'auto',
    workingDirectory: cwd,
    environment,
    noCache: values.noCache,
    pull: values.pull,
    run: {
      network: values.network,
      allowHostNetwork: values.allow.includes('network.host'),
      extraHosts: values.addHost,
    },
  };
}

import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../measure.ts';
import { commandFloor } from './floor.ts';
import type { Task, Workload } from './types.ts';

/** About 20,000 files when pip has unpacked and compiled them. */
const PACKAGES = ['numpy', 'scipy', 'scikit-learn', 'pandas', 'matplotlib', 'sympy', 'networkx', 'statsmodels'];

const INSTALL = `pip install --no-index --find-links /wheels ${PACKAGES.join(' ')}`;

/** W1: an ML image. The wheels are fetched once, so that the network of the package index is not measured. */
export const mlImage: Workload = async ({ folder }) => {
  const wheels = join(folder, 'wheels');
  await mkdir(wheels, { recursive: true });
  const target = ['--python-version', '3.11', '--only-binary=:all:', '--platform', platform()];
  await run({ program: 'python3', args: ['-m', 'pip', 'download', '-q', ...target, '-d', wheels, ...PACKAGES] });
  const context = (peer: string): string => join(folder, peer.replaceAll(/\W+/g, '-'));
  const prepare = async (peer: string, run: number): Promise<void> => {
    await mkdir(context(peer), { recursive: true });
    await cp(wheels, join(context(peer), 'wheels'), { recursive: true, force: false });
    await writeFile(join(context(peer), 'Dockerfile'), dockerfile);
    await writeFile(join(context(peer), 'app.py'), `print('run ${run}')\n`);
  };
  const build: Task['act'] = async (peer) => await peer.build(context(peer.name), 'bench-ml');
  const floor = commandFloor(join(folder, 'floor'), {
    image: 'python:3.11-slim',
    command: INSTALL,
    bind: [wheels, '/wheels'],
  });
  return [
    {
      name: 'W1 cold',
      title: 'ML image, 20,000 files: nothing cached',
      ...(floor ? { floor } : {}),
      prepare: async (peer, run) => {
        await prepare(peer.name, run);
        await peer.forget();
      },
      act: build,
    },
    {
      name: 'W1 cached',
      title: 'the same again, nothing changed',
      samples: 5,
      prepare: async () => undefined,
      act: build,
    },
    {
      name: 'W1 one line',
      title: 'one line of the app changed',
      samples: 5,
      prepare: async (peer, sample) =>
        await writeFile(join(context(peer.name), 'app.py'), `print('sample ${sample}, changed')\n`),
      act: build,
    },
  ];
};

function platform(): string {
  return `manylinux2014_${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`;
}

const dockerfile = `FROM python:3.11-slim
WORKDIR /app
RUN --mount=type=bind,source=wheels,target=/wheels ${INSTALL}
COPY app.py .
CMD ["python", "app.py"]
`;

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NO_ACCOUNTS, takeAccount } from './support/account.ts';
import { startBaseRegistry, type BaseRegistry } from './support/registry.ts';
import { startS3 } from './support/s3.ts';
import { createWorld, type Outcome, type World } from './support/world.ts';

const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`lessons: ${NO_ACCOUNTS}`);

const WEIGHTS = 'weights of a model\n';
const MD5 = createHash('md5').update(WEIGHTS).digest('hex');
const OBJECT = `files/md5/${MD5.slice(0, 2)}/${MD5.slice(2)}`;

// One store for all: what two lessons install alike is installed once.
suite('builds of lessons', () => {
  let registry: BaseRegistry;
  let world: World;
  beforeAll(async () => {
    registry = await startBaseRegistry();
    world = createWorld(takeAccount('root'), registry.mirrors);
  });
  afterAll(async () => {
    await world.remove();
    await registry.stop();
  });

  /** A folder with these files. */
  function lesson(name: string, files: Readonly<Record<string, string>>): string {
    for (const [path, content] of Object.entries(files)) {
      const file = join(world.folder, name, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
    return join(world.folder, name);
  }

  /** Builds as a user does, flags behind the context; gives what was printed. */
  async function build(
    cwd: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const all = ['build', '.', '--build-ca', '--progress', 'plain', ...args];
    return succeeded(await world.berth(all, { cwd, env }));
  }

  async function run(args: readonly string[], input?: string): Promise<string> {
    return succeeded(await world.berth(['run', '--rm', ...args], input === undefined ? {} : { input }));
  }

  test('poetry installs what its lock file says, and bash is the entrypoint', async () => {
    const cwd = lesson('poetry', { 'pyproject.toml': PYPROJECT, 'train.py': 'print("trains")\n', Dockerfile: POETRY });
    writeFileSync(join(cwd, 'lock.dockerfile'), LOCK);
    await build(cwd, ['-f', 'lock.dockerfile', '--output', '.']);
    await build(cwd, ['-t', 'poetry']);
    const session = 'python train.py; python -c "import itsdangerous as i; print(i.__version__)"\n';
    expect((await run(['-i', 'poetry'], session)).split('\n')).toEqual(['trains', '2.2.0', '']);
    expect(await run(['poetry', '-c', 'echo $0 $PWD'])).toBe('/bin/bash /app\n');
  });

  test('dvc pulls a model from a folder of the context', async () => {
    const remote = { [`remote/${OBJECT}`]: WEIGHTS, 'data.dvc': DATA };
    const cwd = lesson('dvc', { ...remote, Dockerfile: `${DVC}${FROM_FOLDER}` });
    // As the next lesson: the network is in the key of a RUN.
    await build(cwd, ['--network', 'host', '-t', 'dvc']);
    expect(await run(['dvc'])).toBe(WEIGHTS);
  });

  test('dvc pulls it from S3, with keys that are in no layer', async () => {
    const objects = new Map([[`dvc/${OBJECT}`, Buffer.from(WEIGHTS)]]);
    const bucket = await startS3({ name: 'models', objects, accessKey: 'AKIDEXAMPLE', secretKey: SECRET });
    try {
      const cwd = lesson('dvc-s3', { 'data.dvc': DATA, key: 'AKIDEXAMPLE', Dockerfile: `${DVC}${FROM_S3}` });
      const secrets = ['--secret', 'id=aws_key,src=key', '--secret', 'id=aws_secret,env=AWS_SECRET'];
      const args = ['--network', 'host', '--build-arg', `ENDPOINT=${bucket.url}`, ...secrets, '-t', 'dvc-s3'];
      await build(cwd, args, { AWS_SECRET: SECRET });
      expect(bucket.refused()).toBe(0);
    } finally {
      await bucket.close();
    }
    expect(await run(['dvc-s3'])).toBe(WEIGHTS);
    const found = await world.run(['grep', '-rlF', SECRET, world.store]);
    expect(found.stdout).toBe('');
  });

  test('predict.dockerfile: a venv from a builder, owners, modes, variables and labels as they are written', async () => {
    const cwd = lesson('predict', {
      'predict.dockerfile': PREDICT,
      'requirements.txt': 'docopt==0.6.2\n',
      'predict.py': '',
      'run.sh': RUN_SCRIPT,
    });
    const first = await build(cwd, ['-f', 'predict.dockerfile', '-t', 'predict']);
    expect(first).toContain('Building wheel for docopt');
    expect((await run(['predict', 'x'])).split('\n')).toEqual([
      'hello  world|a b|single $NAME|one two  three x',
      'app',
      '0.6.2',
      '755 1001:1001 /usr/local/bin/run.sh',
      '644 1001:1001 /srv/predict.py',
      '',
    ]);
    const labels = await world.berth(['inspect', 'predict', '--format', '{{json .Config.Labels}}']);
    expect(JSON.parse(labels.stdout)).toMatchObject({ title: 'predict api', description: 'A model behind an API' });
    // Another requirement runs pip again, and pip finds the wheel that it made before.
    writeFileSync(join(cwd, 'requirements.txt'), 'docopt==0.6.2\nitsdangerous==2.2.0\n');
    const second = await build(cwd, ['-f', 'predict.dockerfile', '-t', 'predict']);
    expect(second).toMatch(/Successfully installed docopt-0\.6\.2 itsdangerous-2\.2\.0/);
    expect(second).not.toContain('Building wheel for docopt');
  });

  test('apt-get with its lists removed, and with its caches mounted and locked', async () => {
    const packages = (names: string): string => APT.replace('PACKAGES', names);
    const cwd = lesson('apt', { Dockerfile: packages('tree') });
    expect(await build(cwd, ['-t', 'apt'])).toMatch(/Get:\d+ .* tree /);
    writeFileSync(join(cwd, 'Dockerfile'), packages('tree less'));
    // What was fetched before is taken from the mount.
    expect(await build(cwd, ['-t', 'apt'])).not.toMatch(/Get:\d+ .* tree /);
    expect(await run(['apt', 'sh', '-c', 'ls /var/lib/apt/lists; tree --version | cut -c1-4'])).toBe('tree\n');
  });
});

function succeeded({ code, stdout, output }: Outcome): string {
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
  return stdout === '' ? output : stdout;
}

const SECRET = 'a-secret/of+s3-canary';

/** The index by its own name: some mirrors serve no JSON API, which poetry wants of PyPI. */
const PYPROJECT = `[tool.poetry]
name = "iris-api"
version = "0.1.0"
description = "A lesson"
authors = ["A Learner <learner@example.com>"]
package-mode = false

[tool.poetry.dependencies]
python = ">=3.11,<3.14"
itsdangerous = "2.2.0"

[[tool.poetry.source]]
name = "index"
url = "https://pypi.org/simple/"
priority = "primary"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
`;

const WITH_POETRY = `FROM python:3.11-slim AS poetry
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN pip install poetry
`;

const LOCK = `${WITH_POETRY}COPY pyproject.toml ./
RUN poetry lock
FROM scratch
COPY --from=poetry /app/poetry.lock /
`;

const POETRY = `${WITH_POETRY}COPY pyproject.toml poetry.lock* /app/
RUN poetry config virtualenvs.create false && poetry install --no-root
COPY . /app
ENTRYPOINT ["/bin/bash"]
`;

const DATA = `outs:
- md5: ${MD5}
  size: ${WEIGHTS.length}
  hash: md5
  path: data
`;

const DVC = `FROM python:3.11-slim
WORKDIR /app
RUN pip install --no-cache-dir "dvc[s3]"
RUN dvc init --no-scm
`;

const FROM_FOLDER = `COPY remote /remote
COPY data.dvc .
RUN dvc remote add -d storage /remote
RUN dvc pull
CMD ["cat", "data"]
`;

const FROM_S3 = `ARG ENDPOINT
RUN dvc remote add -d storage s3://models/dvc && dvc remote modify storage endpointurl $ENDPOINT
COPY data.dvc .
RUN --mount=type=secret,id=aws_key,env=AWS_ACCESS_KEY_ID \\
    --mount=type=secret,id=aws_secret,env=AWS_SECRET_ACCESS_KEY \\
    dvc pull
CMD ["cat", "data"]
`;

const PREDICT = `# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.11
FROM python:\${PYTHON_VERSION}-slim AS builder
ENV PATH="/opt/venv/bin:$PATH" \\
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv && pip install wheel
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt

FROM python:\${PYTHON_VERSION}-slim
LABEL title="predict api" \\
      description="A model \\
behind an API"
ENV GREETING="hello  world" NAME=a\\ b \\
    OTHER='single $NAME'
ENV LEGACY one two  three
RUN useradd --create-home --uid 1001 app
COPY --from=builder /opt/venv /opt/venv
COPY --chmod=755 --chown=app:app run.sh /usr/local/bin/run.sh
COPY --chmod=u=rwX,go=rX --chown=1001 predict.py ./srv/
USER app
ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["run.sh"]
CMD ["--default"]
`;

const RUN_SCRIPT = `#!/bin/sh
echo "$GREETING|$NAME|$OTHER|$LEGACY" "$@"
id -un
python -c "import docopt; print(docopt.__version__)"
stat -c '%a %u:%g %n' /usr/local/bin/run.sh /srv/predict.py
`;

const APT = `FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends \\
    libgomp1 \\
    && rm -rf /var/lib/apt/lists/*
RUN rm -f /etc/apt/apt.conf.d/docker-clean; \\
    echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,target=/var/lib/apt,sharing=locked \\
    apt-get update && apt-get install -y --no-install-recommends PACKAGES
`;

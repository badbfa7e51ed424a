import { describe, expect, test } from '@jest/globals';
import { createResolver, graphOf } from '../../helpers/graph.ts';

describe('the image of a graph', () => {
  test('exposes the ports of all lines and stages once, in the order in which they came', async () => {
    const text = 'FROM a AS b\nEXPOSE 2 1\nEXPOSE 1-3\nFROM b\nEXPOSE 9/udp 2\n';
    const { image } = await graphOf(text, {}, createResolver({ ExposedPorts: { '7/tcp': {} } }));
    expect(Object.keys(image.config.ExposedPorts ?? {})).toEqual(['7/tcp', '1/tcp', '2/tcp', '3/tcp', '9/udp']);
  });

  test('has all that the instructions say', async () => {
    const { image } = await graphOf(
      [
        'FROM a',
        'ENV A=1 B="x y"',
        'ENV A=2',
        'LABEL "a b"=c d="$A"',
        'EXPOSE 8000 53/udp 9000-9002 8080:80',
        'VOLUME ["/data", "/m"]',
        'WORKDIR srv',
        'USER 1000:1000',
        'STOPSIGNAL SIGINT',
        'SHELL ["/bin/bash", "-c"]',
        'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --retries=3 CMD curl -f localhost',
        'ONBUILD RUN x',
        'MAINTAINER Me <me@example.com>',
        'ENTRYPOINT exec app',
        'CMD ["--port", "8000"]',
      ].join('\n'),
    );
    expect(image.config).toEqual({
      Env: ['PATH=/usr/bin', 'A=2', 'B=x y'],
      Labels: { 'a b': 'c', d: '2' },
      ExposedPorts: { '8000/tcp': {}, '53/udp': {}, '9000/tcp': {}, '9001/tcp': {}, '9002/tcp': {}, '80/tcp': {} },
      Volumes: { '/data': {}, '/m': {} },
      WorkingDir: '/srv',
      User: '1000:1000',
      StopSignal: 'SIGINT',
      Shell: ['/bin/bash', '-c'],
      Healthcheck: {
        Test: ['CMD-SHELL', 'curl -f localhost'],
        Interval: 90e9,
        Timeout: 500e6,
        StartPeriod: 3600e9,
        Retries: 3,
      },
      OnBuild: ['RUN x'],
      Entrypoint: ['/bin/bash', '-c', 'exec app'],
      Cmd: ['--port', '8000'],
      ArgsEscaped: true,
    });
    expect(image.author).toBe('Me <me@example.com>');
  });

  test('has the history that BuildKit writes', async () => {
    const { image } = await graphOf(
      [
        'FROM a',
        'ARG V=1 W',
        'ENV A=1',
        'LABEL l=m',
        'EXPOSE 80',
        'VOLUME /a /b',
        'WORKDIR /',
        'USER u',
        'SHELL ["s", "-c"]',
        'HEALTHCHECK --interval=90s CMD ["h", "i"]',
        'RUN r',
        'COPY a b/',
        'ENTRYPOINT ["e\\t\\"", "é"]',
        'CMD []',
      ].join('\n'),
    );
    expect(image.history.map(({ createdBy }) => createdBy)).toEqual([
      'ARG V=1 W',
      'ENV A=1',
      'LABEL l=m',
      'EXPOSE [80/tcp]',
      'VOLUME [/a /b]',
      'WORKDIR /',
      'USER u',
      'SHELL [s -c]',
      'HEALTHCHECK {Test:[CMD h i] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}',
      'RUN |2 V=1 W= s -c r # buildkit',
      'COPY a b/ # buildkit',
      'ENTRYPOINT ["e\\t\\"" "é"]',
      'CMD []',
    ]);
    expect(image.history.map(({ vertex }) => vertex !== undefined)).toEqual([
      ...Array.from({ length: 9 }, () => false),
      true,
      true,
      false,
      false,
    ]);
  });

  const base = {
    Env: ['PATH=/p'],
    Cmd: ['python3'],
    Entrypoint: ['old'],
    WorkingDir: '/base',
    User: 'b',
    Labels: { a: '1' },
  };

  test('inherits from its base', async () => {
    const { image } = await graphOf('FROM a\nLABEL b=2\nWORKDIR x\n', {}, createResolver(base));
    expect(image.config).toEqual({ ...base, Labels: { a: '1', b: '2' }, WorkingDir: '/base/x' });
  });

  test('loses an inherited CMD to an ENTRYPOINT, and keeps its own', async () => {
    const inherited = await graphOf('FROM a\nENTRYPOINT ["e"]\n', {}, createResolver(base));
    expect(inherited.image.config.Cmd).toBeUndefined();
    const own = await graphOf('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]\n', {}, createResolver(base));
    expect(own.image.config.Cmd).toEqual(['c']);
    const fromStage = await graphOf('FROM a AS x\nCMD ["c"]\nFROM x\nENTRYPOINT ["e"]\n', {}, createResolver(base));
    expect(fromStage.image.config.Cmd).toBeUndefined();
  });

  test("has the user's labels over its own", async () => {
    const { image } = await graphOf('FROM a\nLABEL a=1 b=2\n', { labels: { b: '3', c: '4' } });
    expect(image.config.Labels).toEqual({ a: '1', b: '3', c: '4' });
  });

  test('keeps a label that looks like a prototype apart', async () => {
    const { image } = await graphOf('FROM a\nLABEL constructor=1 __proto__=2\n');
    expect(Object.entries(image.config.Labels ?? {})).toEqual([
      ['constructor', '1'],
      ['__proto__', '2'],
    ]);
  });
});

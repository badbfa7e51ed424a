import { describe, expect, test } from '@jest/globals';
import { isEngineError } from '../../../engine/base/errors.ts';
import { graphOf } from '../../helpers/graph.ts';

/** Says too little or the wrong thing, and what to type instead. */
/** Words of a Dockerfile, and the hint: a text, or what matches one. */
const MENDED: readonly (readonly [string, unknown])[] = [
  ['ADD a', 'Write ADD model.tar.gz /models/'],
  ['ARG', 'Write ARG NAME or ARG NAME=default'],
  ['ARG =b', 'Write ARG NAME or ARG NAME=default'],
  ['CMD ["a", 1]', 'Put each element into double quotes'],
  ['COPY', 'Write COPY requirements.txt ./'],
  ['COPY a <<b\nb', 'Write COPY <<b /path/of/the/file'],
  ['COPY --from=$A b c', 'Give the image a name with FROM … AS name, which takes variables, and use that name'],
  ['COPY --from=7 b c', 'Name a stage or its number: 0'],
  ['COPY --link=maybe a b', 'Write --link, or leave it out'],
  ['COPY --chown=a --chown=b c d', 'Keep one of --chown=a and --chown=b'],
  ['COPY <<a /b\n${C:?unset}\na', 'Give it a value: ARG C=value, ENV C=value, or --build-arg C=value for its ARG'],
  ['ENV', 'Write ENV NAME=value'],
  ['ENV A=${B', 'Close it: ${NAME}'],
  ['ENV A=${B:', 'Close it: ${NAME}'],
  ['ENV A=${}', 'Write ${NAME}, and escape a dollar sign that means itself'],
  ['ENV A=${B/c}', 'Write ${NAME/old/new}'],
  ['ENV A="b', 'Add the closing ", or write \\" for one that means itself'],
  ["ENV A='b", "Add the closing ', or write \\' for one that means itself"],
  ['EXPOSE', 'Write EXPOSE 8000'],
  ['EXPOSE 1-3:4-5', "Write the container's ports only: EXPOSE 4-5"],
  ['HEALTHCHECK', 'Write HEALTHCHECK CMD command, or HEALTHCHECK NONE'],
  ['HEALTHCHECK NONE a', 'Write HEALTHCHECK NONE alone, or HEALTHCHECK CMD command'],
  ['HEALTHCHECK CMD', 'Write HEALTHCHECK CMD curl -f http://localhost:8000/health'],
  ['HEALTHCHECK --interval=1us CMD a', 'Write times as 30s, 1m30s or 500ms'],
  ['HEALTHCHECK --retries=a CMD b', 'Write for example --retries=3'],
  ['LABEL', 'Write LABEL name=value'],
  ['MAINTAINER', 'Write LABEL org.opencontainers.image.authors="name"'],
  ['ONBUILD', 'Write ONBUILD RUN command'],
  ['ONBUILD FROM b', 'Leave FROM to the Dockerfile that begins with FROM this image'],
  ['RUN []', 'Write RUN command, or RUN ["program", "argument"]'],
  ['RUN --network=bridge a', 'Write --network=default'],
  ['RUN --network=hots a', 'Write --network=host'],
  ['RUN --mount= a', 'Write --mount=type=cache,target=/path'],
  ['RUN --mount=type=cache,target a', 'Write target=value'],
  ['RUN --mount=type=cache,cheese a', expect.stringMatching(/^Known: type, from, /)],
  ['RUN --mount=type=cache,target=/b,sharing=c a', 'Write sharing=shared, sharing=private, sharing=locked'],
  ['RUN --mount=type=cache,target=/b,mode=9 a', 'Write an octal number such as mode=0755'],
  ['RUN --mount=type=cache,target=/b,uid=c a', 'Write a number such as uid=1000'],
  ['RUN --mount=type=tmpfs,target=/b,size=c a', 'Write size=64m or size=1g'],
  ['RUN --mount=target=/b,rw=c a', 'Write rw=true or rw=false'],
  ['RUN --mount=target=/b,sharing=locked a', 'Leave out sharing, which is for type=cache'],
  ['RUN --mount=target=/b,uid=1 a', 'Leave out uid, which is for type=cache or secret or ssh'],
  ['RUN --mount=type=secret,id=b,source=c a', 'Leave out source'],
  ['RUN --mount=type=secret,id=b,from=c a', 'Leave out from'],
  ['RUN --mount=target=/b\\"c a', 'Put the whole of key=value into double quotes, and a quote in it twice'],
  ['RUN --device= a', 'Write --device=nvidia.com/gpu'],
  ['SHELL []', 'Write SHELL ["/bin/bash", "-c"]'],
  ['SHELL /bin/sh', 'Write SHELL ["/bin/bash", "-c"]'],
  ['STOPSIGNAL', 'Write STOPSIGNAL SIGTERM'],
  ['STOPSIGNAL nosuchsignal', 'Write a name such as SIGTERM, or a number up to 64'],
  ['USER', 'Write USER name, or USER 1000:1000'],
  ['VOLUME', 'Write VOLUME /data'],
  ['VOLUME [""]', 'Write VOLUME /data'],
  ['WORKDIR', 'Write WORKDIR /app'],
];

describe('a mistake in a Dockerfile says what to type', () => {
  test.each(MENDED)('%j', async (line, hint) => {
    const error: unknown = await graphOf(`FROM a\n${line}\n`).catch((reason: unknown) => reason);
    expect(isEngineError(error) && error).toMatchObject({ hint, location: { startLine: 2 } });
  });

  test('whatever the directives are', async () => {
    const hintOf = async (text: string): Promise<unknown> => await graphOf(text).catch((error: unknown) => error);
    expect(await hintOf('# escape=x\nFROM a\n')).toMatchObject({ hint: 'Write # escape=\\ or # escape=`' });
    expect(await hintOf('# escape=`\n# escape=`\nFROM a\n')).toMatchObject({ hint: 'Keep one of the two lines' });
    expect(await hintOf('# escape=`\nFROM a\nENV A="b\n')).toMatchObject({
      hint: 'Add the closing ", or write `" for one that means itself',
    });
  });

  test('and shows a text of several lines as one', async () => {
    const text = 'FROM a\nCOPY <<b /c\n${D:-\nb\n';
    await expect(graphOf(text)).rejects.toThrow(/the substitution has no "}" in "\$\{D:-"$/);
  });
});

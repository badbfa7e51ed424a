import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BUSYBOX } from './engine.ts';

/** Dockerfile of a small server: busybox's httpd, a page for readiness and a script that answers `/cgi-bin/predict`. */
export const APP_DOCKERFILE = `FROM scratch AS builder
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -p /tmp /srv && echo built > /srv/model"]

FROM builder
ARG MARK=none
COPY www /www
RUN echo "made with $MARK" > /www/mark
EXPOSE 8000
STOPSIGNAL SIGKILL
ENTRYPOINT ["/bin/httpd", "-f", "-p", "8000", "-h", "/www"]
`;

/** A spec that the app passes. */
export const APP_SMOKE_TEST = `readinessProbe: { httpGet: { path: /health, port: 8000 } }
requests:
  - name: predict
    request: { method: POST, path: /cgi-bin/predict, json: { features: [1, 2] } }
    response: { status: 200, jsonpath: { '$.prediction': { '==': 1 } } }
shutdown: { exitCodes: [0, 137, 143] }
`;

const PREDICT = `#!/bin/sh
printf 'Content-Type: application/json\\r\\n\\r\\n{"prediction": 1}'
`;

/** Writes the app into a workspace. @param files replace or join its files */
export async function writeApp(folder: string, files: Readonly<Record<string, string>> = {}): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyFile(BUSYBOX, join(folder, 'busybox'));
  await chmod(join(folder, 'busybox'), 0o755);
  const all: Readonly<Record<string, string>> = {
    Dockerfile: APP_DOCKERFILE,
    'smoke-test.yaml': APP_SMOKE_TEST,
    'www/health': 'ok\n',
    'www/cgi-bin/predict': PREDICT,
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: name.includes('cgi-bin/') ? 0o755 : 0o644 });
    await chmod(join(folder, name), name.includes('cgi-bin/') ? 0o755 : 0o644);
  }
}

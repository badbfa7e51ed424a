import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const BUSYBOX = '/bin/busybox';
/** Why the image `box` cannot be made here; undefined when it can. */
export const NO_BOX = existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`;

/** Writes the context of an image of BusyBox with a volume and a page to serve; gives its folder. */
export async function writeBox(folder: string): Promise<string> {
  const context = join(folder, 'box');
  await mkdir(join(context, 'bin'), { recursive: true });
  await mkdir(join(context, 'www'));
  await copyFile(BUSYBOX, join(context, 'bin/busybox'));
  await chmod(join(context, 'bin/busybox'), 0o755);
  await writeFile(join(context, 'www/health'), 'ok\n');
  await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
  return context;
}

const DOCKERFILE = `FROM scratch
COPY . /
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; mkdir -p /data /tmp; echo seed > /data/seed"]
ENV GREETING=hi PATH=/bin
VOLUME /data
CMD ["sh"]
`;

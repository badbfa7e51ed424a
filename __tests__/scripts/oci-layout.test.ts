import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { NO_BUSYBOX, pushBusybox } from '../helpers/base-images.ts';

const missing = NO_BUSYBOX ?? (hasProgram('docker-registry') ? undefined : 'needs docker-registry');
const suite = missing === undefined ? describe : describe.skip;

suite('a layout pushed by plain HTTP to a registry that is not ours', () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry();
  });
  afterAll(async () => {
    await registry.close();
  });

  test('is the same image each time, and blobs that are there are not sent again', async () => {
    const first = await pushBusybox(`http://${registry.address}`);
    expect(await pushBusybox(`http://${registry.address}`)).toBe(first);
  });

  test('is accepted by skopeo', async () => {
    const digest = await pushBusybox(`http://${registry.address}`);
    const name = `docker://${registry.address}/library/busybox:latest`;
    const said = execFileSync('skopeo', ['inspect', '--tls-verify=false', name], { encoding: 'utf8' });
    expect(JSON.parse(said)).toMatchObject({ Digest: digest, Os: 'linux', Env: ['PATH=/bin:/usr/bin'] });
  });
});

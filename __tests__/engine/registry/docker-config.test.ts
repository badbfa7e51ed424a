import { describe, expect, test } from '@jest/globals';
import {
  credentialsFromDockerConfig,
  helperServerUrl,
  lookupDockerConfig,
} from '../../../engine/registry/docker-config.ts';
import { originOf, registryName } from '../../../engine/registry/endpoint.ts';

const auth = (pair: string): { auth: string } => ({ auth: Buffer.from(pair).toString('base64') });
const read = (value: unknown) => credentialsFromDockerConfig(typeof value === 'string' ? value : JSON.stringify(value));

describe("Docker's config.json", () => {
  const config = read({
    auths: {
      'https://index.docker.io/v1/': auth('hub:pass:word'),
      'ghcr.io': auth('me:token'),
      'https://quay.io': { username: 'q', password: 'p' },
      'localhost:5000': auth('l:l'),
      'azure.example': { ...auth('00000000:'), identitytoken: 'refresh' },
      'empty.example': {},
    },
    credHelpers: { 'gcr.io': 'gcloud', 'https://eu.gcr.io': 'gcloud' },
    HttpHeaders: { 'X-Custom': 'ignored' },
  });

  test.each([
    ['docker.io', { username: 'hub', password: 'pass:word' }],
    ['index.docker.io', { username: 'hub', password: 'pass:word' }],
    ['registry-1.docker.io', { username: 'hub', password: 'pass:word' }],
    ['GHCR.io', { username: 'me', password: 'token' }],
    ['quay.io', { username: 'q', password: 'p' }],
    ['localhost:5000', { username: 'l', password: 'l' }],
    ['azure.example', { username: '00000000', password: '', identityToken: 'refresh' }],
  ])('has credentials for %s', (registry, credentials) => {
    expect(lookupDockerConfig(config, registry)).toEqual({ credentials });
  });

  test.each([
    'ghcr.io.evil.com',
    'evil-ghcr.io',
    'io',
    'ghcr.io:8443',
    'localhost',
    'localhost:5001',
    'docker.io.evil',
    'empty.example',
    '__proto__',
  ])('has none for %s', (registry) => expect(lookupDockerConfig(config, registry)).toBeUndefined());

  test('names helpers before files, and a store for all the rest', () => {
    expect(lookupDockerConfig(config, 'eu.gcr.io')).toEqual({ helper: 'gcloud' });
    const stored = read({ auths: { 'ghcr.io': {} }, credsStore: 'secretservice', credHelpers: { 'gcr.io': 'gcloud' } });
    expect(lookupDockerConfig(stored, 'ghcr.io')).toEqual({ helper: 'secretservice' });
    expect(lookupDockerConfig(stored, 'gcr.io')).toEqual({ helper: 'gcloud' });
    expect([helperServerUrl('docker.io'), helperServerUrl('ghcr.io')]).toEqual([
      'https://index.docker.io/v1/',
      'ghcr.io',
    ]);
  });

  test.each([
    ['{"auths":{"a.b":{"auth":"canary', 'it'],
    [{ auths: { 'a.b': auth('canary-without-colon') } }, "isn't base64 of user:password"],
    [{ auths: { 'a.b': { auth: 5 } } }, 'must hold strings'],
    [{ credsStore: '../../bin/sh' }, "isn't the name of a credential helper"],
    [{ credHelpers: { a: 'x y' } }, "isn't the name of a credential helper"],
    [[], "isn't a JSON object"],
  ])('that is wrong is refused without a word of its secrets', (value, text) => {
    expect.assertions(3);
    try {
      read(value);
    } catch (error) {
      const { code, message, cause } = error as { code: string; message: string; cause: unknown };
      expect(code).toBe('DOCKER_CONFIG_INVALID');
      expect(message).toContain(text);
      expect(message + String(cause)).not.toContain('canary');
    }
  });
});

describe('endpoints', () => {
  test.each([
    ['docker.io', 'docker.io', 'https://registry-1.docker.io'],
    ['index.docker.io', 'docker.io', 'https://registry-1.docker.io'],
    ['GHCR.IO', 'ghcr.io', 'https://ghcr.io'],
    ['registry.example:8443', 'registry.example:8443', 'https://registry.example:8443'],
  ])('%s is %s at %s', (domain, registry, origin) => expect(originOf(domain)).toMatchObject({ registry, origin }));

  test('plain http is tried on loopback and by name, and nowhere else', () => {
    for (const local of ['localhost:5000', '127.0.0.1', '127.1.2.3:80', '[::1]:5000'])
      expect(originOf(local).origin).toBeUndefined();
    expect(originOf('registry.lan:5000', ['registry.lan:5000']).origin).toBeUndefined();
    for (const other of ['registry.lan:5001', 'registry.lan', '128.0.0.1', 'localhost.example']) {
      expect(originOf(other, ['registry.lan:5000']).origin).toBe(`https://${other}`);
    }
  });

  test('aliases are those of Docker Hub alone', () => {
    expect(registryName('registry-1.docker.io')).toBe('docker.io');
    expect(registryName('hub.docker.io')).toBe('hub.docker.io');
  });
});

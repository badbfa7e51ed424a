import { describe, expect, test } from '@jest/globals';
import { choosePlatform, runsOn } from '../../../engine/image/choose.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import { formatPlatform, isSamePlatform, parsePlatform } from '../../../engine/image/platform.ts';
import type { Descriptor, Index } from '../../../engine/image/types.ts';

describe('a platform', () => {
  test.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['amd64', 'linux/amd64'],
    ['aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['Linux/AMD64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/i386', 'linux/386'],
    ['windows/amd64', 'windows/amd64'],
    ['macos/arm64', 'darwin/arm64'],
    ['linux/constructor', 'linux/constructor'],
  ])('%s is %s', (text, expected) => expect(formatPlatform(parsePlatform(text))).toBe(expected));

  test.each([
    '',
    'linux',
    'windows',
    'all',
    'foo',
    'x86',
    'linux/',
    '/amd64',
    'linux/../../x',
    'linux/..',
    'a/b/c/d',
    'linux/am d64',
    'linux/\u001b',
  ])('is not %j', (text) =>
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'PLATFORM_INVALID' })),
  );

  test('is the same in another spelling', () => {
    expect(
      isSamePlatform({ os: 'linux', architecture: 'aarch64', variant: 'v8' }, { os: 'linux', architecture: 'arm64' }),
    ).toBe(true);
    expect(
      isSamePlatform({ os: 'linux', architecture: 'arm', variant: 'v6' }, { os: 'linux', architecture: 'arm' }),
    ).toBe(false);
  });
});

describe('the choice from an index', () => {
  const entry = (text: string | undefined, name = text ?? 'none'): Descriptor => ({
    mediaType: OCI_MANIFEST,
    digest: digestOf(name),
    size: 1,
    ...(text === undefined
      ? {}
      : {
          platform: {
            os: text.split('/')[0] ?? '',
            architecture: text.split('/')[1] ?? '',
            ...(text.split('/')[2] ? { variant: text.split('/')[2] ?? '' } : {}),
          },
        }),
  });
  const index = (...entries: readonly Descriptor[]): Index => ({ schemaVersion: 2, manifests: entries });
  const choose = (wanted: string, ...entries: readonly Descriptor[]) =>
    choosePlatform(index(...entries), parsePlatform(wanted), 'python:3.12').digest;

  test.each([
    ['linux/amd64', ['linux/arm64/v8', 'linux/amd64'], 'linux/amd64'],
    ['linux/arm64', ['linux/amd64', 'linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm64', ['linux/arm/v7', 'linux/amd64'], 'linux/arm/v7'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2'], 'linux/amd64/v2'],
    ['linux/amd64', ['linux/386', 'windows/amd64'], 'linux/386'],
    ['linux/s390x', ['linux/amd64', 'linux/s390x'], 'linux/s390x'],
  ])('for %s out of %j is %s', (wanted, existing, expected) => {
    expect(choose(wanted, ...existing.map((each) => entry(each)))).toBe(digestOf(expected));
  });

  test('takes the first of duplicates, never an attestation, and the only image of no platform', () => {
    const attestation = {
      ...entry('linux/amd64', 'sbom'),
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    };
    expect(
      choose(
        'linux/amd64',
        attestation,
        entry('unknown/unknown'),
        entry('linux/amd64', 'first'),
        entry('linux/amd64', 'second'),
      ),
    ).toBe(digestOf('first'));
    expect(choose('linux/amd64', entry(undefined), entry('unknown/unknown'))).toBe(digestOf('none'));
  });

  test('lists what exists when there is none, with what to type', () => {
    expect(() =>
      choose('linux/riscv64', entry('linux/amd64'), entry('windows/amd64'), entry('linux/amd64', 'again')),
    ).toThrow(
      expect.objectContaining({
        code: 'PLATFORM_NOT_FOUND',
        message: 'Cannot use python:3.12 for linux/riscv64: it has linux/amd64, windows/amd64',
        hint: 'Choose another tag, or --platform linux/amd64',
      }),
    );
    expect(() => choose('linux/amd64/v99999999999', entry('linux/arm64/v8'))).toThrow('it has linux/arm64/v8');
    expect(() => choose('linux/amd64')).toThrow('it holds no image');
  });

  test('knows what runs where', () => {
    expect(runsOn(parsePlatform('linux/386'), parsePlatform('linux/amd64'))).toBe(true);
    expect(runsOn(parsePlatform('linux/amd64'), parsePlatform('linux/arm64'))).toBe(false);
  });
});

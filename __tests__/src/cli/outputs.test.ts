import { describe, expect, test } from '@jest/globals';
import { parseAnnotation, parseCacheFrom, parseCacheTo, parseOutput } from '../../../src/cli/values/output.ts';

const output = (text: string): unknown => parseOutput(text, '/work');

describe('--output', () => {
  test.each([
    ['out', { type: 'local', dest: '/work/out', toStdout: false }],
    ['-', { type: 'tar', toStdout: true }],
    ['type=local,dest=/abs', { type: 'local', dest: '/abs', toStdout: false }],
    ['type=oci,dest=-', { type: 'oci', toStdout: true }],
    ['type=oci,dest=lay,tar=false', { type: 'oci', dest: '/work/lay', tar: false, toStdout: false }],
    ['type=docker', { type: 'docker', toStdout: false }],
    ['type=image,"name=a:1,b:2",push=true', { type: 'image', names: ['a:1', 'b:2'], push: true, toStdout: false }],
    [
      'type=registry,compression=zstd,compression-level=19,force-compression=true,oci-mediatypes=false',
      {
        type: 'registry',
        compression: 'zstd',
        compressionLevel: 19,
        forceCompression: true,
        ociMediaTypes: false,
        toStdout: false,
      },
    ],
    ['type=oci,dest=x,rewrite-timestamp=1', { type: 'oci', dest: '/work/x', rewriteTimestamp: true, toStdout: false }],
    [
      'type=image,annotation.org.Title=x,annotation-manifest.b=y',
      { type: 'image', annotations: { 'org.Title': 'x', b: 'y' }, toStdout: false },
    ],
  ])('reads %s', (text, expected) => {
    expect(output(text)).toEqual(expected);
  });

  test.each([
    ['type=ftp', /unknown type ftp/],
    ['dest=x,tar=false', /type=… is missing/],
    ['type=oci,dest=x,push-by-digest=true', /push-by-digest is not supported yet/],
    ['type=oci,dest=x,colour=red', /unknown attribute colour/],
    ['type=local,dest=x,compression=gzip', /type=local has no attribute compression/],
    ['type=image,compression=estargz', /estargz is not supported/],
    ['type=image,compression=lz4', /unknown compression lz4/],
    ['type=image,compression-level=fast', /is no number/],
    ['type=image,push=maybe', /wanted true or false/],
    ['type=image,type=oci', /given twice/],
    ['type=image,push', /not of the form key=value/],
    ['type=image,annotation-index.a=b', /not supported yet/],
  ])('refuses %s by name', (text, message) => {
    expect(() => output(text)).toThrow(message);
  });

  test.each([
    ['push-by-digest=true', 'push under a name, name=REPOSITORY:TAG,push=true'],
    ['registry.insecure=true', 'leave it out: registries on loopback are plain HTTP'],
    ['mode=delete', 'leave it out; done are dest, name'],
    ['annotation-index.a=b', 'annotation.NAME=VALUE sets one of the manifest'],
    ['compresion=gzip', 'did you mean compression?'],
  ])('says what to type instead of %s', (attribute, hint) => {
    expect(() => output(`type=image,${attribute}`)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(hint) }),
    );
  });
});

describe('--cache-from and --cache-to', () => {
  test('read registries and folders, and a name alone', () => {
    expect(parseCacheFrom('me/app:cache', '/work')).toEqual({ type: 'registry', ref: 'me/app:cache' });
    expect(parseCacheFrom('type=local,src=c', '/work')).toEqual({ type: 'local', src: '/work/c' });
    expect(parseCacheTo('type=local,dest=c,mode=max', '/work')).toEqual({
      type: 'local',
      dest: '/work/c',
      mode: 'max',
    });
    expect(parseCacheTo('type=registry,ref=a/b', '/work')).toEqual({ type: 'registry', ref: 'a/b', mode: 'min' });
    expect(parseCacheTo('type=inline', '/work')).toEqual({ type: 'inline', mode: 'min' });
    expect(() => parseCacheFrom('type=inline', '/work')).toThrow(/is for --cache-to/);
  });

  test.each([
    ['type=inline,mode=max', /type=inline keeps the layers of the image alone/],
    ['type=inline,ref=a', /attribute ref is not supported/],
    ['type=gha', /type=gha is not supported yet/],
    ['type=local', /needs dest/],
    ['type=registry,ref=a,compression=zstd', /attribute compression is not supported/],
    ['type=registry,ref=a,mode=some', /unknown mode some/],
    ['type=registry,ref=a,ignore-error=false', /ignore-error=false is not supported/],
  ])('refuse %s by name', (text, message) => {
    expect(() => parseCacheTo(text, '/work')).toThrow(message);
  });
});

test('--annotation takes those of the manifest', () => {
  expect(parseAnnotation('manifest:a.b=c=d')).toEqual(['a.b', 'c=d']);
  expect(parseAnnotation('a=')).toEqual(['a', '']);
  expect(() => parseAnnotation('index:a=b')).toThrow(/annotations of index/);
  expect(() => parseAnnotation('plain')).toThrow(/KEY=VALUE/);
});

import { describe, expect, test } from '@jest/globals';
import { EngineError, isEngineError } from '../../../engine/base/errors.ts';

describe('EngineError', () => {
  test('shows no password of a URL, in sentence, hint or excerpt', () => {
    const url = 'https://me:canary@example.com/x?sig=canary2';
    const error = new EngineError('X', `Cannot fetch ${url}: no answer`, {
      hint: `Try ${url}`,
      location: { file: 'Dockerfile', startLine: 1, endLine: 1, excerpt: `>>> ADD ${url} /x` },
    });
    expect(`${error.message} ${error.hint} ${error.location?.excerpt}`).not.toContain('canary');
    expect(error.location?.excerpt).toContain('https://***@example.com/x');
  });

  test('is told by its code', () => {
    const error = new EngineError('X', 'Cannot do it: it is broken');
    expect(isEngineError(error)).toBe(true);
    expect(isEngineError(error, 'X')).toBe(true);
    expect(isEngineError(error, 'Y')).toBe(false);
    expect(isEngineError(new Error('X'))).toBe(false);
  });
});

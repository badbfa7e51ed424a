import { expect, test } from '@jest/globals';
import { parseSecret } from '../../../src/cli/values/secret.ts';

test('--secret of a variable that is not set says which, and what to do', () => {
  const place = { cwd: '/', lookup: () => undefined };
  const read = (): unknown => parseSecret('id=token,env=NOSUCH', place);
  expect(read).toThrow('Cannot read the secret "token": the variable NOSUCH is not set');
  expect(read).toThrow(
    expect.objectContaining({
      hint: 'export NOSUCH, name a file with src=FILE, or leave the secret out',
    }),
  );
});

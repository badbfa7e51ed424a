import { describe, expect, test } from '@jest/globals';
import { ABSENT_OF_CONTAINER, withAbsent } from '../../../src/cli/absent-fields.ts';
import { parseTemplate } from '../../../src/cli/template/index.ts';

describe('what Docker has no value for', () => {
  const found = { State: { Status: 'running' }, Config: { StopTimeout: 7 }, HostConfig: { Sysctls: { a: 'b' } } };
  const complete = withAbsent(found, ABSENT_OF_CONTAINER);

  test.each([
    ['{{.State.Status}}|{{.State.Health}}', 'running|<nil>'],
    ['{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}', 'none'],
    ['{{.Config.StopTimeout}}|{{.Config.Shell}}|{{.Config.MacAddress}}|', '7|[]||'],
    ['{{.HostConfig.Sysctls}}|{{.HostConfig.StorageOpt}}|{{.HostConfig.Mounts}}', 'map[a:b]|map[]|[]'],
  ])('%s can be asked for', (template, text) => {
    expect(parseTemplate(template)(complete)).toBe(text);
  });

  test('is no value of what it would have', () => {
    expect(() => parseTemplate('{{.State.Health.Status}}')(complete)).toThrow(/Health|nil/);
    expect(() => parseTemplate('{{.State.Nope}}')(complete)).toThrow('map has no entry for key "Nope"');
  });

  test('leaves what was found as it is', () => {
    expect(found).toEqual({
      State: { Status: 'running' },
      Config: { StopTimeout: 7 },
      HostConfig: { Sysctls: { a: 'b' } },
    });
  });
});

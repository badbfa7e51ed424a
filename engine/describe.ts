import type { ActOptions } from './base/progress.ts';
import { describeOptions } from './build-plan.ts';
import { checkDockerfile, listTargets, outlineDockerfile } from './build-describe.ts';
import { withLocalRequest, type LocalRequest } from './build-inputs.ts';
import type { Parts } from './connect.ts';
import type { BuildRequest, Engine } from './engine.ts';
import { withStore } from './leftovers.ts';

/** What a Dockerfile says, read as a build of these parts would read it. */
export function createDescriptions(parts: Parts): Engine['dockerfile'] {
  const described = <T>(
    request: BuildRequest,
    act: ActOptions,
    describe: (local: LocalRequest) => Promise<T>,
  ): Promise<T> => withStore(parts, act, () => withLocalRequest(parts, request, act, describe));
  return {
    check: (request, act = {}) =>
      described(request, act, (local) => checkDockerfile(local, describeOptions(parts, local, act))),
    outline: (request, act = {}) =>
      described(request, act, (local) => outlineDockerfile(local, describeOptions(parts, local, act))),
    targets: (request, act = {}) => described(request, act, listTargets),
  };
}

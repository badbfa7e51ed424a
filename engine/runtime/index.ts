export { createBuildSpec, type BuildSpec, type BuildSpecDependencies, type BuildStep } from './build-spec.ts';
export { createContainers } from './containers.ts';
export { findContainer, type Found } from './list.ts';
export { createNetworks } from './network/networks.ts';
export type { Connection, ContainersDependencies } from './dependencies.ts';
export { lookupUser, type Accounts, type Identity } from './user.ts';
export { createReadAccounts, type ReadAccounts } from './accounts.ts';
export { BUILD_PROFILE, RUN_PROFILE, type Profile } from './profile.ts';
export { createSpec, type MachineProbe, type SpecParts, type SpecTarget } from './spec.ts';

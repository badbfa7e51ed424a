// The door of this folder.
export { createRegistry } from './registry.ts';
export { RegistryError } from './errors.ts';
export { registryName } from './endpoint.ts';
export { isLoopback } from './host.ts';
export { createWeb, type Web } from './web.ts';
export {
  credentialsFromDockerConfig,
  helperServerUrl,
  lookupDockerConfig,
  type DockerConfig,
} from './docker-config.ts';
export type * from './types.ts';
export type * from './server/types.ts';

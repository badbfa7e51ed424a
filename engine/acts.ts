// What builds, archives and serves: loaded in one piece by the first act that needs some of it, since most commands need none.
export { build } from './build.ts';
export { applyChanges } from './changes.ts';
export { createDescriptions } from './describe.ts';
export { completeIndex } from './image-index.ts';
export { importImage } from './import-image.ts';
export { loadImages } from './load.ts';
export { serveRegistry } from './registry-backend.ts';
export { saveImages } from './save.ts';

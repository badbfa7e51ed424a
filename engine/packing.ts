import type { Packing } from './store/index.ts';

/**
 * How layers are packed: gzip, which every registry and runtime reads, at libdeflate's level 1. Over 1.3 GB of site-packages and shared
 * libraries it takes some 40 % of the time of level 6 for a tenth more bytes; the levels between cost time faster than they save bytes. What
 * the user waits for is the end of the push, and a tenth more bytes on a runner's network is less than the seconds that they save. What does not
 * shrink stays as it is.
 */
export const DEFAULT_PACKING: Packing = { codec: 'gzip', level: 1, mayBePlain: true };

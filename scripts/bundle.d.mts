import type { BuildOptions } from 'esbuild';

/** @returns the paths of all that went in */
export function bundle(outdir: string): Promise<readonly string[]>;
export const bundleOptions: BuildOptions;
export const root: string;

import { mlImage } from './ml-image.ts';
import { modelFile } from './model-file.ts';
import { serving } from './serving.ts';
import { transfer } from './transfer.ts';
import type { Workload } from './types.ts';

/** By the names that `--only` takes; W4 needs nothing of W1. */
export const WORKLOADS: Readonly<Record<string, Workload>> = {
  W1: mlImage,
  W2: modelFile,
  W4: transfer,
  W6: serving,
};

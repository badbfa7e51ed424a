// A jest transformer in a few lines: esbuild strips the types, jest runs the module as ESM.
import { transformSync } from 'esbuild';

export default {
  process(source, sourcefile) {
    const { code, map } = transformSync(source, {
      loader: 'ts',
      format: 'esm',
      target: 'node20.18',
      sourcemap: true,
      sourcefile,
    });
    return { code, map };
  },
};

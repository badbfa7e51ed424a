#!/usr/bin/env node
// What `index.ts` is from the sources: the bundled program lies beside this file in parts, and runs from compiled code that was kept.
import { codeFolder } from './code-cache.ts';
import { createParts } from './parts.ts';
import { leave } from './leave.ts';
import type { main } from './main.ts';

/** Name of the part that `main.ts` is in, with a hash of all that it may load; set by the bundler. */
declare const BERTH_MAIN: string;

// As Node does for a module that waits for ever: what `leave` does not reach has not succeeded.
process.exitCode = 13;
const words = process.argv.slice(2);
const folder = codeFolder({ uid: process.getuid?.() ?? 0, env: process.env });
const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];
const parts = createParts({ folder: __dirname, main: BERTH_MAIN, kept: folder, words, flags, require });
// Type: the bundler makes the part of main.ts.
const program = parts.load(BERTH_MAIN) as { readonly main: typeof main };
void program.main(words).then((exitCode) => {
  if (exitCode === 0) parts.keep();
  leave(exitCode);
});

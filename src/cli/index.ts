#!/usr/bin/env node
import { enableCodeCache } from './code-cache.ts';

// Before the rest is loaded: what was compiled by an earlier command is taken from there.
enableCodeCache({ uid: process.getuid?.() ?? 0, env: process.env });
const { main } = await import('./main.ts');
const exitCode = await main(process.argv.slice(2));
// Not process.exit at once: what was written to a pipe may still be on its way. A socket that a registry keeps open must not hold us.
process.exitCode = exitCode;
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));

#!/usr/bin/env node
import { enableCodeCache } from './code-cache.ts';
import { leave } from './leave.ts';

// Before the rest is loaded: what was compiled by an earlier command is taken from there.
enableCodeCache({ uid: process.getuid?.() ?? 0, env: process.env });
const { main } = await import('./main.ts');
leave(await main(process.argv.slice(2)));

// Compiles undici's HTTP parser once, with V8's quick compiler alone. A command asks a registry a few things and ends; V8 takes the parser's one
// large function for hot code and optimizes it meanwhile, which takes more CPU time than all requests.
const { setFlagsFromString } = require('node:v8');
const bytes = require('undici/lib/llhttp/llhttp_simd-wasm.js');

/** Versions of Node that know the flags; another one might tell the user of a flag that it does not know. */
const KNOWN = [20, 21, 22, 23, 24];
const FLAGS = ['wasm-tier-up', 'wasm-dynamic-tiering', 'wasm-lazy-compilation'];

let compiled;

/**
 * Must come before undici's first connection: V8 gives a module that lives to all who compile the same bytes. The flags are as they were when it
 * returns, since compiled code that was kept is bound to them.
 */
exports.compileParser = function compileParser() {
  if (compiled !== undefined || !KNOWN.includes(Number(process.versions.node.split('.')[0]))) return;
  for (const flag of FLAGS) setFlagsFromString(`--no-${flag}`);
  try {
    compiled = new WebAssembly.Module(bytes);
  } catch {
    // No SIMD on this machine: undici takes its other parser.
    compiled = null;
  } finally {
    for (const flag of FLAGS) setFlagsFromString(`--${flag}`);
  }
};

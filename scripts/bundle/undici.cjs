// What we use of undici: agents and `request`. The package's own entry loads caches, mocks, WebSocket and fetch as well, which took
// half of the time of its first request. Names and behaviour are undici's; the build fails when a file of it moves.
const Agent = require('undici/lib/dispatcher/agent.js');
const Dispatcher = require('undici/lib/dispatcher/dispatcher.js');
const EnvHttpProxyAgent = require('undici/lib/dispatcher/env-http-proxy-agent.js');
const Pool = require('undici/lib/dispatcher/pool.js');
const { compileParser } = require('./parser.cjs');

Object.assign(Dispatcher.prototype, require('undici/lib/api/index.js'));

/** As undici's `request` with a `URL` and a dispatcher, which is how our sources call it. */
function request(url, { dispatcher, ...options }) {
  compileParser();
  const path = `${url.pathname}${url.search}`;
  return dispatcher.request({ ...options, origin: url.origin, path, method: options.method ?? 'GET' });
}

module.exports = { Agent, EnvHttpProxyAgent, Pool, request };

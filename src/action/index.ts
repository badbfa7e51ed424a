import { withHiddenTokens } from './environment.ts';
import { main } from './main.ts';
import { post } from './post.ts';
import { createRunner } from './runner.ts';
import { isPost } from './state.ts';

/** The one program of the Action: main, and after the job post, as its own state says. */
async function run(): Promise<number> {
  const env = withHiddenTokens(process.env);
  // What the toolkit starts (tar, zstd) inherits what can be listed, and needs no token.
  process.env = env;
  const runner = createRunner(env);
  if (!isPost(env)) return await main(env, runner);
  await post(env, runner);
  return 0;
}

// Ends at once when the work is done: sockets that the toolkit leaves open keep Node alive for minutes (actions/cache does the same).
process.exit(await run());

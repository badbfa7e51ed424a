/** Set by the bundler (scripts/build.mjs). */
declare const BERTH_VERSION: string | undefined;

/** The version of this command; `dev` when it runs from its sources. */
export function version(): string {
  return typeof BERTH_VERSION === 'string' ? BERTH_VERSION : 'dev';
}

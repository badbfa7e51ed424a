/** Build arguments that reach RUN without ARG and are in no key. Source: Dockerfile reference, predefined ARGs. */
const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'] as const;

/** Whether the build argument is one of the predefined proxy arguments, in any case. */
export function isProxyArg(name: string): boolean {
  return NAMES.some((known) => known === name.toUpperCase());
}

/** The proxy variables of a RUN, upper and lower case, from the build arguments. */
export function proxyEnv(buildArgs: Readonly<Record<string, string>>): readonly string[] {
  const given = Object.keys(buildArgs).filter(isProxyArg).sort();
  return NAMES.flatMap((name) => {
    const key = given.findLast((candidate) => candidate.toUpperCase() === name);
    const value = key === undefined ? '' : (buildArgs[key] ?? '');
    return value === '' ? [] : [`${name}=${value}`, `${name.toLowerCase()}=${value}`];
  });
}

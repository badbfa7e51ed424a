/** Absolute path of Node 24's binary; this process's own when the package for this platform is not there and it is new enough. */
export function node24(): string;

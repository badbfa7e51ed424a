/** The grammar of image names. Source: distribution-spec, "Pulling manifests"; the names follow Docker's reference grammar. */
const alphanumeric = '[a-z0-9]+';
const separator = '(?:[._]|__|-+)';
const pathComponent = `${alphanumeric}(?:${separator}${alphanumeric})*`;
const hostComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const ipv6 = '\\[[a-fA-F0-9:]+\\]';
const domain = `(?:${hostComponent}(?:\\.${hostComponent})*|${ipv6})(?::[0-9]+)?`;
const path = `${pathComponent}(?:/${pathComponent})*`;
const tag = '[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}';
const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

/** A registry's host, with an optional port. */
export const DOMAIN = new RegExp(`^${domain}$`);
/** Groups: domain (undefined without one), path. */
export const NAME = new RegExp(`^(?:(${domain})/)?(${path})$`);
/** A repository's path, as distribution-spec allows it. */
export const PATH = new RegExp(`^${path}$`);
export const TAG = new RegExp(`^${tag}$`);
/** Groups: name, tag, digest. */
export const REFERENCE = new RegExp(`^((?:${domain}/)?${path})(?::(${tag}))?(?:@(${digest}))?$`);
/** An image id, written without its algorithm. */
export const IDENTIFIER = /^[a-f0-9]{64}$/;

/** The longest path of a repository, in characters. */
export const MAX_PATH = 255;

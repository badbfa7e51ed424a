import { isIP } from 'node:net';
import { UsageError } from '../usage-error.ts';

/** `name:address` or `name=address`, of `--add-host`; an IPv6 address may stand in brackets. */
export function parseExtraHost(text: string): { readonly name: string; readonly address: string } {
  const match = /^([^:=]+)[:=](.*)$/s.exec(text);
  if (!match?.[1]) throw new UsageError(`bad format for add-host: "${text}"`);
  const [, name, given = ''] = match;
  const address = /^\[.*\]$/.test(given) ? given.slice(1, -1) : given;
  if (address === 'host-gateway') {
    throw new UsageError(`Cannot use --add-host ${text}: host-gateway is not supported yet`, 'use --network host');
  }
  if (isIP(address) === 0) throw new UsageError(`invalid IP address in add-host: "${given}"`);
  return { name, address };
}

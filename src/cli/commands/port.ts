import type { PublishedPort } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { OperandsError } from '../usage-error.ts';

/** `berth port`: where the ports of a container are published. */
export const port = defineCommand({
  name: 'port',
  docs: 'Show where the ports of a container are published',
  operands: 'CONTAINER [PORT[/PROTOCOL]]',
  flags: {},
  run: async (context, _values, [name = '', asked]) => {
    const found = await (await context.engine()).containers.resolve(name);
    const ports = found.status === 'exited' || found.status === 'dead' ? [] : found.ports;
    if (asked === undefined) {
      const lines = ports.map((one) => `${one.containerPort}/${one.protocol} -> ${placeOf(one)}\n`);
      context.stdout.write(lines.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).join(''));
      return 0;
    }
    const [number = '', protocol = 'tcp', ...rest] = asked.toLowerCase().split('/');
    if (rest.length > 0 || !/^\d{1,5}$/.test(number) || Number(number) > 65_535) {
      throw new OperandsError(`Cannot show port ${asked}: invalid port`, `berth port ${name} 80/tcp`);
    }
    const chosen = ports.filter((one) => one.containerPort === Number(number) && one.protocol === protocol);
    if (chosen.length === 0) {
      throw new OperandsError(`No public port '${asked}' published for ${name}`, `berth port ${name} lists them`);
    }
    context.stdout.write(chosen.map((one) => `${placeOf(one)}\n`).join(''));
    return 0;
  },
});

function placeOf({ hostAddress, hostPort }: PublishedPort): string {
  return `${hostAddress.includes(':') ? `[${hostAddress}]` : hostAddress}:${hostPort}`;
}

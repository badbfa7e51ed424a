import { defineCommand } from '../command.ts';
import { ATTACH, CONTAINER_FLAGS, REFUSED_RUN_FLAGS, toRunSpec } from './run-flags.ts';
import { checkCidfile, startRenderer, writeCidfile } from './run.ts';

/** `berth create`: a container that `berth start` starts. */
export const create = defineCommand({
  name: 'create',
  docs: 'Make a new container without starting it',
  operands: 'IMAGE [COMMAND...]',
  flags: { ...CONTAINER_FLAGS, attach: ATTACH },
  refused: REFUSED_RUN_FLAGS,
  passThrough: true,
  run: async (context, values, [image = '', ...command]) => {
    const spec = { ...toRunSpec(values, image, command), attached: values.attach };
    checkCidfile(values.cidfile);
    const engine = await context.engine();
    const renderer = startRenderer(context, values.quiet);
    const tty = values.tty ? { tty: { rows: 24, columns: 80 } } : {};
    const { id } = await engine.containers
      .create({ ...spec, ...tty }, { onEvent: renderer.onEvent, signal: context.signal })
      .finally(renderer.finish);
    writeCidfile(values.cidfile, id);
    context.stdout.write(`${id}\n`);
    return 0;
  },
});

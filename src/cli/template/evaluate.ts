import { TemplateError } from './error.ts';
import { FUNCTIONS } from './functions.ts';
import type { Block, Node, Operand, Pipe } from './parse.ts';
import { type Fields, fieldsOf, goString, isFields, isMethod, isTrue } from './value.ts';

/** Maps, among what Docker shows: a key that is not there has no value. In anything else a field that is not there is an error. */
const MAPS = new Set(
  'Labels Ports PortBindings Networks Volumes ExposedPorts Options Sysctls Tmpfs Config.Config DriverOpts Annotations Containers Attributes'.split(
    ' ',
  ),
);

/** What a template is evaluated with. */
interface Scope {
  readonly dot: unknown;
  /** The object that the template was given. */
  readonly root: unknown;
  readonly variables: ReadonlyMap<string, { value: unknown }>;
  /** How a field that is not there is told. */
  readonly missing: (name: string) => string;
}

/** Thrown through the nodes of a `range`. */
class Jump extends Error {
  readonly kind: 'break' | 'continue';
  constructor(kind: 'break' | 'continue') {
    super(kind);
    this.kind = kind;
  }
}

/** Evaluates a parsed template. @throws {TemplateError} in Docker's words */
export function evaluate(nodes: readonly Node[], fields: Fields, missing: (name: string) => string): string {
  const scope: Scope = { dot: fields, root: fields, variables: new Map([['$', { value: fields }]]), missing };
  try {
    return render(nodes, scope);
  } catch (error) {
    if (error instanceof Jump) throw new TemplateError(`{{${error.kind}}} outside {{range}}`);
    throw error;
  }
}

function render(nodes: readonly Node[], outer: Scope): string {
  let scope = outer;
  let text = '';
  for (const node of nodes) {
    if (node.kind === 'text') text += node.text;
    else if (node.kind === 'break' || node.kind === 'continue') throw new PartialText(text, node.kind);
    else if (node.kind === 'print') {
      const [value, inner] = runPipe(node.pipe, scope);
      scope = inner;
      if (node.pipe.variables.length === 0) text += value === null ? textOfNull(node.pipe) : goString(value);
    } else text += attempt(text, () => renderBlock(node, scope));
  }
  return text;
}

/** What Go prints of fields without a value that are lists or pointers in Docker's sources. */
const NIL: ReadonlyMap<string, string> = new Map([
  ...'Aliases CapAdd CapDrop DeviceCgroupRules DeviceRequests ExecIDs GroupAdd Links Mounts OnBuild SecurityOpt Shell VolumesFrom Cmd Entrypoint'
    .split(' ')
    .map((name) => [name, '[]'] as const),
  ...'MemorySwappiness PidsLimit IPAMConfig Health Healthcheck ImageManifestDescriptor Init SizeRootFs SizeRw StopTimeout'
    .split(' ')
    .map((name) => [name, '<nil>'] as const),
  ...'Volumes DriverOpts Annotations StorageOpt Sysctls Tmpfs'.split(' ').map((name) => [name, 'map[]'] as const),
]);

function textOfNull({ commands }: Pipe): string {
  const [operand] = commands.at(-1) ?? [];
  const field = operand && 'fields' in operand ? (operand.fields.at(-1) ?? '') : '';
  return NIL.get(field) ?? goString(null);
}

/** A jump carries what was printed before it. */
class PartialText extends Jump {
  readonly text: string;
  constructor(text: string, kind: 'break' | 'continue') {
    super(kind);
    this.text = text;
  }
}

function attempt(before: string, act: () => string): string {
  try {
    return act();
  } catch (error) {
    if (error instanceof PartialText) throw new PartialText(before + error.text, error.kind);
    throw error;
  }
}

function renderBlock(node: Block, scope: Scope): string {
  if (node.kind === 'range') return renderRange(node, scope);
  const [value, inner] = runPipe(node.pipe, scope);
  if (!isTrue(value)) return render(node.otherwise, inner);
  return render(node.then, node.kind === 'with' ? { ...inner, dot: value } : inner);
}

function renderRange({ pipe, then, otherwise }: Block, scope: Scope): string {
  const [value] = runPipe({ ...pipe, variables: [] }, scope);
  const entries = entriesOf(value);
  if (entries.length === 0) return render(otherwise, scope);
  let text = '';
  for (const [key, item] of entries) {
    const [first, second] = pipe.variables;
    const names: readonly (readonly [string | undefined, unknown])[] =
      second === undefined
        ? [[first, item]]
        : [
            [first, key],
            [second, item],
          ];
    const inner = names.reduce((made, [name, held]) => (name === undefined ? made : assign(made, name, held, true)), {
      ...scope,
      dot: item,
    });
    try {
      text += render(then, inner);
    } catch (error) {
      if (!(error instanceof PartialText)) throw error;
      text += error.text;
      if (error.kind === 'break') break;
    }
  }
  return text;
}

/** Lists by position, maps in the order of their keys, numbers count. */
function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item: unknown, at) => [at, item]);
  if (typeof value === 'number') return Array.from({ length: value }, (_, at) => [at, at]);
  if (isFields(value)) return fieldsOf(value);
  throw new TemplateError(`range can't iterate over ${goString(value)}`);
}

function runPipe({ commands, variables, declares }: Pipe, scope: Scope): readonly [unknown, Scope] {
  let value: unknown;
  for (const [at, command] of commands.entries()) value = runCommand(command, scope, at === 0 ? [] : [value]);
  const [name] = variables;
  return [value, name === undefined ? scope : assign(scope, name, value, declares)];
}

function assign(scope: Scope, name: string, value: unknown, declares: boolean): Scope {
  if (declares) return { ...scope, variables: new Map(scope.variables).set(name, { value }) };
  const held = scope.variables.get(name);
  if (!held) throw new TemplateError(`undefined variable "${name}"`);
  held.value = value;
  return scope;
}

function runCommand([first, ...rest]: readonly Operand[], scope: Scope, piped: readonly unknown[]): unknown {
  if (first?.kind === 'function') return callFunction(first.name, rest, scope, piped);
  if (first?.kind === 'dot') {
    const held = follow(scope.dot, first.fields, scope, first.text);
    if (isMethod(held)) return held(...rest.map((operand) => valueOf(operand, scope)), ...piped);
  }
  if (!first || rest.length > 0 || piped.length > 0) {
    throw new TemplateError(`can't give argument to non-function ${first ? textOf(first) : ''}`);
  }
  return valueOf(first, scope);
}

function callFunction(name: string, operands: readonly Operand[], scope: Scope, piped: readonly unknown[]): unknown {
  const lazy = name === 'and' || name === 'or';
  if (lazy) return choose(name, operands, scope, piped);
  const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (!known) throw new TemplateError(`function "${name}" not defined`, `${Object.keys(FUNCTIONS).join(', ')} are`);
  return known(...operands.map((operand) => valueOf(operand, scope)), ...piped);
}

/** The first operand that decides, or the last one. */
function choose(name: 'and' | 'or', operands: readonly Operand[], scope: Scope, piped: readonly unknown[]): unknown {
  let value: unknown;
  for (const operand of operands) {
    value = valueOf(operand, scope);
    if (isTrue(value) === (name === 'or')) return value;
  }
  return piped.length > 0 ? piped[0] : value;
}

function valueOf(operand: Operand, scope: Scope): unknown {
  switch (operand.kind) {
    case 'constant':
      return operand.value;
    case 'dot': {
      const held = follow(scope.dot, operand.fields, scope, operand.text);
      return isMethod(held) ? held() : held;
    }
    case 'variable': {
      const held = scope.variables.get(operand.name);
      if (!held) throw new TemplateError(`undefined variable "${operand.name}"`);
      return follow(held.value, operand.fields, scope, operand.text);
    }
    case 'pipe':
      return follow(runPipe(operand.pipe, scope)[0], operand.fields, scope, operand.text);
    case 'function':
      return callFunction(operand.name, [], scope, []);
  }
}

function textOf(operand: Operand): string {
  return operand.kind === 'constant'
    ? goString(operand.value)
    : operand.kind === 'function'
      ? operand.name
      : operand.text;
}

function follow(start: unknown, fields: readonly string[], scope: Scope, text: string): unknown {
  let value = start;
  for (const [at, name] of fields.entries()) {
    if (isFields(value) && Object.hasOwn(value, name)) value = value[name];
    else if (isFields(value) && MAPS.has(fields[at - 1] ?? '')) value = undefined;
    else if (value === undefined && at > 0)
      throw new TemplateError(`executing "" at <${text}>: nil pointer evaluating interface {}.${name}`);
    else throw new TemplateError(`executing "" at <${text}>: ${scope.missing(name)}`);
  }
  return value;
}

import { Ajv2020, type AnySchema, type ErrorObject } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { messageOf } from '../../engine/index.ts';
import type { Json } from './json.ts';
import { childPath } from './json.ts';
import { SlowRegexError, testRegex } from './regex.ts';
import type { SchemaValidator } from './spec.ts';

const MAX_SENTENCES = 10;

/**
 * Compiles a JSON Schema (2020-12). NaN and Infinity are no numbers to it, and its patterns run in bounded time.
 *
 * @throws `Error` with the reason, when it is no schema or refers to another document
 */
export function compileSchema(schema: Json): SchemaValidator {
  const ajv = new Ajv2020({ allErrors: true, strictSchema: false, strictNumbers: true, code: { regExp: boxedRegExp } });
  // CommonJS below ESM: the function is the module or its default.
  const addFormats = ajvFormats as unknown as { readonly default?: (ajv: Ajv2020) => void } & ((ajv: Ajv2020) => void);
  (addFormats.default ?? addFormats)(ajv);
  const validate = compile(ajv, schema);
  return (value) => {
    try {
      if (validate(value)) return [];
    } catch (error) {
      if (error instanceof SlowRegexError) return [error.message];
      throw error;
    }
    const sentences = (validate.errors ?? []).map((error) => sentence(error));
    const rest = sentences.length - MAX_SENTENCES;
    return rest > 0 ? [...sentences.slice(0, MAX_SENTENCES), `and ${rest} more violations`] : sentences;
  };
}

function compile(ajv: Ajv2020, schema: Json): ReturnType<Ajv2020['compile']> {
  const dialect = typeof schema === 'object' && schema !== null && '$schema' in schema ? schema['$schema'] : undefined;
  if (dialect !== undefined && dialect !== 'https://json-schema.org/draft/2020-12/schema') {
    throw new Error(
      `the dialect ${JSON.stringify(dialect)} is not supported: use https://json-schema.org/draft/2020-12/schema`,
    );
  }
  try {
    return ajv.compile(schema as AnySchema);
  } catch (error) {
    throw new Error(`it is no JSON Schema: ${messageOf(error)}`, { cause: error });
  }
}

/** What ajv calls instead of `new RegExp`; `code` names it in standalone output, which we do not make. */
const boxedRegExp = Object.assign(
  (pattern: string, flags: string) => {
    const { source } = new RegExp(pattern, flags);
    // ajv takes two patterns with the same text for the same one.
    return { test: (text: string) => testRegex(pattern, text, flags), toString: () => `/${source}/${flags}` };
  },
  { code: 'boxedRegExp' },
);

function sentence(error: ErrorObject): string {
  const keys = error.instancePath.split('/').slice(1);
  const path = keys.reduce(
    (so, key) => (/^\d+$/.test(key) ? `${so}[${key}]` : childPath(so, key.replaceAll('~1', '/').replaceAll('~0', '~'))),
    '$',
  );
  return `${path} ${error.message ?? error.keyword}${detail(error)}`;
}

function detail(error: ErrorObject): string {
  const params = error.params as Readonly<Record<string, unknown>>;
  if (error.keyword === 'additionalProperties') return `: ${String(params['additionalProperty'])}`;
  if (error.keyword === 'enum' || error.keyword === 'const')
    return `: ${JSON.stringify(params['allowedValues'] ?? params['allowedValue'])}`;
  return '';
}

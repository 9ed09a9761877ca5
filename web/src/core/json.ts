// JSON without loss: seeds are 64-bit, and JSON.parse would round everything above 2^53. Integers that a number
// cannot hold exactly are read as bigint and written back digit for digit.

export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Marks an integer literal that was turned into a string on its way through JSON.parse / JSON.stringify. */
const MARK = '\uE000int:';
const LITERAL = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+])-?\d{16,}(?![\d.eE])/g;
const MARKED = /"\uE000int:(-?\d+)"/g;

/** Parses JSON text; throws SyntaxError as JSON.parse does. */
export function parseJson(text: string): JsonValue {
  const safe = text.replace(LITERAL, (token) => {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) return token;
    return `"${MARK}${token}"`;
  });
  return JSON.parse(safe, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  ) as JsonValue;
}

export function stringifyJson(value: JsonValue, indent?: number): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? `${MARK}${item}` : item),
    indent,
  );
  return text.replace(MARKED, '$1');
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

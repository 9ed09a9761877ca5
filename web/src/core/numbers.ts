// Numbers as a person types and drags them: parsing, keeping within range, stepping without rounding dust.

export type Numeric = number | bigint;

export interface NumberRule {
  type: string;
  min: number | null;
  max: number | bigint | null;
  step: number | null;
}

export const stepOf = (rule: NumberRule): number => rule.step ?? (rule.type === 'INT' ? 1 : 0.1);

/** Decimals worth showing for a step: 0.05 gives 2, 1 gives 0. */
export function decimalsOf(step: number): number {
  const [, fraction = ''] = step.toString().split('.');
  const exponent = /e-(\d+)$/.exec(step.toString());
  return exponent ? Number(exponent[1]) : fraction.length;
}

/** The number in `text`; null when there is none. Whole numbers beyond 2^53 come as bigint. */
export function parseNumber(text: string, rule: NumberRule): Numeric | null {
  const clean = text.trim().replace(',', '.');
  if (rule.type === 'INT' && /^[+-]?\d+$/.test(clean)) {
    const value = Number(clean);
    return Number.isSafeInteger(value) ? value : BigInt(clean);
  }
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(clean)) return null;
  const value = Number(clean);
  return rule.type === 'INT' ? Math.round(value) : value;
}

export function clamp(value: Numeric, rule: NumberRule): Numeric {
  if (rule.min !== null && value < rule.min) return rule.min;
  if (rule.max !== null && value > rule.max) return rule.max;
  return value;
}

export const inRange = (value: Numeric, rule: NumberRule): boolean => clamp(value, rule) === value;

/** `value` moved by `count` steps, kept in range and rounded to the decimals of value and step. */
export function stepBy(value: Numeric, count: number, rule: NumberRule): Numeric {
  if (typeof value === 'bigint') return clamp(value + BigInt(Math.trunc(count)), rule);
  const step = stepOf(rule);
  const decimals = Math.min(Math.max(decimalsOf(step), decimalsOf(value)), 10);
  return clamp(Number((value + step * count).toFixed(decimals)), rule);
}

export function formatNumber(value: Numeric): string {
  if (typeof value === 'bigint' || Number.isInteger(value)) return value.toString();
  return String(Number(value.toFixed(6)));
}

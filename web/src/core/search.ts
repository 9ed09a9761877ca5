// Ranks nodes for the palette: every typed word must be found, in order of its letters, and a match at the start of
// the title counts for more than one in the middle of an alias.

import type { NodeSpec } from './catalogue.ts';

/** How well `word` matches `text`; 0 when its letters do not all appear in order. Higher is better, 100 is equality. */
export function matchScore(word: string, text: string): number {
  const needle = word.toLowerCase();
  const hay = text.toLowerCase();
  if (needle === hay) return 100;
  if (hay.startsWith(needle)) return 80;
  const at = hay.indexOf(needle);
  if (at > 0) return isBoundary(text, at) ? 65 : 45;
  return scattered(needle, text);
}

/** Letters in order: good when they start words ("ksm", "ud"), poor when they are strewn about. */
function scattered(needle: string, text: string): number {
  const hay = text.toLowerCase();
  let at = 0;
  let boundaries = 0;
  let gaps = 0;
  for (const letter of needle) {
    const found = hay.indexOf(letter, at);
    if (found < 0) return 0;
    if (isBoundary(text, found)) boundaries += 1;
    gaps += found - at;
    at = found + 1;
  }
  const quality = (boundaries / needle.length) * 30 - Math.min(gaps, 25);
  return quality > 0 ? 5 + quality : needle.length > 2 && gaps <= needle.length ? 5 : 0;
}

function isBoundary(text: string, at: number): boolean {
  if (at === 0) return true;
  const before = text[at - 1] ?? '';
  const here = text[at] ?? '';
  return /[\s_\-/]/.test(before) || (/[a-z0-9]/.test(before) && /[A-Z]/.test(here));
}

function nodeScore(spec: NodeSpec, word: string): number {
  const names = Math.max(
    matchScore(word, spec.title),
    matchScore(word, spec.id) * 0.85,
    ...spec.aliases.map((alias) => matchScore(word, alias) * 0.85),
  );
  const category = matchScore(word, spec.category);
  const ports = [...spec.inputs, ...spec.outputs].some((port) => port.type.toLowerCase() === word) ? 20 : 0;
  const described = word.length > 2 && spec.description.toLowerCase().includes(word) ? 12 : 0;
  return Math.max(names, category > 40 ? category * 0.5 : 0, ports, described);
}

/** The specs that match all words of the query, best first; all of them, by title, when the query is empty. */
export function searchNodes(specs: readonly NodeSpec[], query: string): NodeSpec[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const byTitle = (a: NodeSpec, b: NodeSpec) => a.title.localeCompare(b.title);
  if (words.length === 0) return [...specs].sort(byTitle);
  const whole = words.join(' ');
  return specs
    .map((spec) => {
      const scores = words.map((word) => nodeScore(spec, word));
      const score = scores.includes(0) ? 0 : scores.reduce((sum, each) => sum + each, 0) / scores.length;
      return { spec, score: Math.max(score, words.length > 1 ? matchScore(whole, spec.title) : 0) };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || byTitle(a.spec, b.spec))
    .map(({ spec }) => spec);
}

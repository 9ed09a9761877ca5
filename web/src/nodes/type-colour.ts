// The colour of a socket type: one hue per type, lightness and strength from the theme, so that a type keeps its
// colour in dark and light. Types that no list names get a hue from their name.

const HUES: Readonly<Record<string, number>> = {
  MODEL: 295,
  CLIP: 90,
  VAE: 18,
  CONDITIONING: 58,
  LATENT: 345,
  IMAGE: 245,
  MASK: 145,
  CONTROL_NET: 180,
  UPSCALE_MODEL: 270,
  CLIP_VISION: 110,
  SIGMAS: 125,
  SAMPLER: 320,
  NOISE: 215,
  GUIDER: 35,
  INT: 200,
  FLOAT: 200,
  STRING: 160,
};

const NEUTRAL = new Set(['*', 'COMBO', 'BOOLEAN']);

function hueOf(type: string): number {
  let hash = 0;
  for (const letter of type) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return hash;
}

export function typeColour(type: string): string {
  if (NEUTRAL.has(type)) return 'var(--type-neutral)';
  return `oklch(var(--type-lightness) var(--type-chroma) ${HUES[type] ?? hueOf(type)})`;
}

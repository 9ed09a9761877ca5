// Words on the page. All text comes from one JSON per language, so another language is one more file here.

import i18next from 'i18next';
import en from './en.json' with { type: 'json' };

const instance = i18next.createInstance();

// Nothing is fetched, so that the first text can be asked for at once.
instance
  .init({
    lng: 'en',
    fallbackLng: 'en',
    resources: { en: { translation: en } },
    interpolation: { escapeValue: false },
    initAsync: false,
  })
  .catch(console.error);

export const t = (key: string, options: Record<string, unknown> = {}): string => instance.t(key, options);

/** A person's name for a socket type, or the type id itself where there is none. */
export const typeName = (type: string): string => t(`types.${type}`, { defaultValue: type });

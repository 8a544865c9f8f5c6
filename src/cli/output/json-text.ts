/** Characters that are legal in JSON but act on a terminal or hide text: C1 controls, bidi, zero-width, line separators. */
const risky = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** JSON in which such characters are written as `\uXXXX`: the same value, inert in a terminal. Lone surrogates are kept, escaped. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replaceAll(
    risky,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

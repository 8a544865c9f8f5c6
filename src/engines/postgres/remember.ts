import type { Text } from '../../model/row.ts';

const entries = 4096;
const longest = 500;

/**
 * Remembers what was decoded last, for texts that both sides of a merge show within a few batches of each other: the
 * second side gets the first one's string, which then compares by identity.
 */
export const remembering = (decode: (text: string) => Text): ((text: string) => Text) => {
  let known = new Map<string, Text>();
  let before = known;
  return (text) => {
    if (text.length > longest) return decode(text);
    const found = known.get(text) ?? before.get(text);
    if (found !== undefined) return found;
    const cell = decode(text);
    if (known.size >= entries) {
      before = known;
      known = new Map();
    }
    known.set(text, cell);
    return cell;
  };
};

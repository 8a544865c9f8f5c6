import { createHash } from 'node:crypto';

/** A name of at most so many bytes of UTF-8; a longer one is cut, and told apart by a piece of its hash. */
const shortened = (name: string, longest: number): string => {
  if (Buffer.byteLength(name) <= longest) return name;
  const end = `_${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
  let cut = name;
  while (Buffer.byteLength(cut) + end.length > longest) cut = [...cut].slice(0, -1).join('');
  return cut + end;
};

/**
 * Names for keys and indexes: each as its source has it where it can be, else one made of its table and columns.
 * `refuses` says why a name cannot be had, `taken` are those of others; names are given once, letters taken without their case.
 */
export const nameGiver = (
  longest: number,
  refuses: (name: string) => string | undefined,
  taken: readonly string[] = [],
) => {
  const given = new Set(taken.map((name) => name.toLowerCase()));
  return (wanted: string | undefined, made: readonly string[]): string => {
    const plain = made.join('_').replace(/[^\p{L}\p{N}_]+/gu, '_');
    const ascii = plain.replace(/[^\w]+/g, '_');
    const base = [wanted, plain, ascii].find((n) => n !== undefined && refuses(shortened(n, longest)) === undefined);
    for (let i = 1; ; i++) {
      const name = shortened(i === 1 ? (base ?? ascii) : `${base ?? ascii}_${i}`, longest);
      const key = name.toLowerCase();
      if (given.has(key)) continue;
      given.add(key);
      return name;
    }
  };
};

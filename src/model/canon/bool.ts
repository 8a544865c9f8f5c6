/** `true` or `false` of the words and digits that engines and people write; undefined for anything else. */
export const boolText = (raw: string): 'true' | 'false' | undefined => {
  switch (raw) {
    case 'true':
    case 't':
    case '1':
      return 'true';
    case 'false':
    case 'f':
    case '0':
      return 'false';
  }
  if (raw.length > 5) return undefined;
  const lower = raw.toLowerCase();
  return lower === raw ? undefined : boolText(lower);
};

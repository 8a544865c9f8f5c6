/** Functions that give the same for the same arguments, on every engine that has them. */
const plainFunctions = new Set(
  'abs cast ceil ceiling char_length coalesce concat date_trunc extract floor greatest ifnull iif in instr least left length lower ltrim mod nullif octet_length position replace right round rtrim sign strpos substr substring trim trunc truncate upper values not and or between like when then else case'.split(
    ' ',
  ),
);

/** Words that bring in other rows, the time, chance or who asks. */
const outsideWords =
  /\b(select|exists|with|now|current_\w+|current|localtime\w*|utc_\w+|sysdate|systimestamp|today|user|session_user|rownum|gen_id|next)\b/i;

/**
 * Why a condition may let a row in or out that nobody wrote, or undefined when it looks at the row alone. Such a row
 * would not be among the changed ones. Careful: what is not known to be harmless is not.
 */
export const outsideRow = (filter: string): string | undefined => {
  if (/--|\/\*|#|\$\$|\$\w+\$|\\/.test(filter)) return 'it holds a comment or a special character';
  let inside: string | undefined;
  const plain = filter.replaceAll(/'((?:[^']|'')*)'|"(?:[^"]|"")*"|`[^`]*`/g, (_, text: string | undefined) => {
    if (text !== undefined && /\b(now|today|tomorrow|yesterday|current\w*)\b/i.test(text)) inside = `'${text}'`;
    return text === undefined ? ' quoted ' : ' 0 ';
  });
  if (inside !== undefined) return `${inside} is another value tomorrow`;
  const word = outsideWords.exec(plain)?.[0];
  if (word !== undefined) return `\`${word}\` is not of the row alone`;
  for (const [, name] of plain.matchAll(/([\w.]+)\s*\(/g))
    if (!plainFunctions.has(name!.toLowerCase())) return `the function ${name} may look at more than the row`;
  if (/@/.test(plain)) return 'it holds a variable or an operator that is not known here';
  return undefined;
};

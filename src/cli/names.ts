/** Short names for two databases given by URL: as little of each address as tells them apart. Never a secret. */
export const namesOfUrls = (source: string, target: string): readonly [string, string] => {
  const a = candidates(source);
  const b = candidates(target);
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== '' && b[i] !== '' && a[i] !== b[i]) return [a[i]!, b[i]!];
  }
  return ['source', 'target'];
};

/** From the shortest name to the longest: database, host/database, host:port/database, user@host:port/database. */
const candidates = (url: string): readonly string[] => {
  // A reference: `${env:OLD_URL}` is old.
  const reference = /^\$\{[a-z]+:([^}]+)\}$/.exec(url)?.[1];
  if (reference !== undefined) return [reference.replace(/_(URL|DSN)$/i, '').toLowerCase(), reference];
  const text = url.replace(/[?#].*$/s, '');
  const match = /^[a-z][a-z0-9+.-]*:\/\/(?:([^/@:]*)(?::[^@]*)?@)?([^/]*)\/(.*)$/is.exec(text);
  if (!match || match[2] === '') return pathCandidates(text.replace(/^[a-z][a-z0-9+.-]*:(\/\/)?/i, ''));
  const [, user = '', address = '', database = ''] = match;
  const host = address.replace(/:\d+$/, '');
  const name = decode(database) || host;
  return [name, `${host}/${name}`, `${address}/${name}`, `${decode(user)}@${address}/${name}`];
};

/** A file: its name without extension, with extension, then with more and more of its folders. */
const pathCandidates = (path: string): readonly string[] => {
  const parts = decode(path)
    .split('/')
    .filter((p) => p !== '');
  const last = parts.at(-1) ?? '';
  const tails = parts.map((_, i) => parts.slice(parts.length - 1 - i).join('/'));
  return [last.replace(/\.[^.]+$/, ''), ...tails];
};

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What a connection is looked up by. */
interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

export type Found = { readonly password: string } | { readonly refused: string } | undefined;

/** The fields of a line, `\:` and `\\` unescaped; undefined for comments and what has not five of them. */
const fieldsOf = (line: string): readonly string[] | undefined => {
  if (line.startsWith('#') || line.trim() === '') return undefined;
  const fields: string[] = [];
  let field = '';
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\' && i + 1 < line.length) field += line[++i];
    else if (line[i] === ':' && fields.length < 4) {
      fields.push(field);
      field = '';
    } else field += line[i];
  }
  fields.push(field);
  return fields.length === 5 ? fields : undefined;
};

/**
 * The password that PostgreSQL's own clients would take: `~/.pgpass`, or the file that PGPASSFILE names. As there, the
 * first line that fits wins, and a file that others can read is not used.
 */
export const passwordFromFile = async (wanted: Wanted, env: NodeJS.ProcessEnv = process.env): Promise<Found> => {
  const file = env['PGPASSFILE'] || join(env['HOME'] || homedir(), '.pgpass');
  let text: string;
  try {
    const facts = await stat(file);
    if (!facts.isFile()) return undefined;
    if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0)
      return { refused: `${file} was not used: others than its owner have rights to it (chmod 600 ${file})` };
    text = await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
  const host = wanted.host.startsWith('/') ? 'localhost' : wanted.host;
  for (const line of text.split(/\r?\n/)) {
    const fields = fieldsOf(line);
    if (fields === undefined) continue;
    const values = [host, String(wanted.port), wanted.database, wanted.user];
    if (values.every((value, i) => fields[i] === '*' || fields[i] === value)) return { password: fields[4]! };
  }
  return undefined;
};

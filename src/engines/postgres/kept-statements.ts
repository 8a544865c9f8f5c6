import { createHash } from 'node:crypto';
import { isPooled } from './pooler.ts';
import { forgetParsed, isParsed } from './row-query.ts';
import type { Session, StatementOptions } from './session.ts';

/** Texts that a session has been sent, the one sent last at the end; with a name from the second time on. */
const sent = new WeakMap<Session, Map<string, string | undefined>>();

/** A statement that is kept, with its plan, takes some 100 kB of the server's memory. */
const keptMost = 32;

const nameOf = (sql: string): string => `lockstep_${createHash('sha256').update(sql).digest('hex').slice(0, 32)}`;

/**
 * The name under which the server keeps a statement that the batches of a table are written with: to parse and plan a
 * row's hash takes it longer than a hundred rows do. Undefined, and the statement is planned as it comes: when the session
 * sends it for the first time, for most tables are written by one batch, and behind a pooler. Of too many the one that has
 * not been sent for longest goes.
 */
export const keptName = async (session: Session, sql: string, o: StatementOptions): Promise<string | undefined> => {
  if (await isPooled(session, o)) return undefined;
  let texts = sent.get(session);
  if (texts === undefined) {
    texts = new Map();
    sent.set(session, texts);
  }
  const name = texts.has(sql) ? (texts.get(sql) ?? nameOf(sql)) : undefined;
  texts.delete(sql);
  texts.set(sql, name);
  if (texts.size > keptMost) {
    const [text, old] = texts.entries().next().value!;
    texts.delete(text);
    if (old !== undefined && isParsed(session.client, { name: old, text })) {
      await session.query(`deallocate ${old}`, undefined, o);
      forgetParsed(session.client, old);
    }
  }
  return name;
};

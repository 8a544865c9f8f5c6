import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Cancel } from '../model/cancel.ts';
import type { JsonValue } from '../model/json.ts';
import type { Api } from './api.ts';
import { HttpProblem } from './errors.ts';

const wrong = (): HttpProblem =>
  new HttpProblem('CURSOR', 'This cursor was not given by this list with these filters.', {
    hint: 'Take next_cursor as it is, and keep the other parameters; or leave the cursor out to begin again.',
    errors: [{ pointer: '/query/cursor', detail: 'not of this list' }],
  });

const parts = z.string().regex(/^[\w-]+\.[\w-]{22}$/);

/** Positions in lists, as texts that callers hand back. `list`: what the list is of, filters included. */
export interface Cursors {
  seal(list: string, position: JsonValue): string;
  /** The position of a cursor that this list gave; CURSOR for any other. */
  open<T>(list: string, cursor: string, shape: z.ZodType<T>): T;
}

const cursorsWith = (key: Uint8Array): Cursors => {
  const sign = (list: string, body: string): string =>
    createHmac('sha256', key).update(`${list}\n${body}`).digest().subarray(0, 16).toString('base64url');
  return {
    seal: (list, position) => {
      const body = Buffer.from(JSON.stringify(position)).toString('base64url');
      return `${body}.${sign(list, body)}`;
    },
    open: (list, cursor, shape) => {
      if (!parts.safeParse(cursor).success) throw wrong();
      const [body, signature] = cursor.split('.') as [string, string];
      const expected = Buffer.from(sign(list, body));
      const given = Buffer.from(signature);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw wrong();
      const position = shape.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString()));
      if (!position.success) throw wrong();
      return position.data;
    },
  };
};

/** The cursors of a server: signed with a secret of its control store, so that every instance knows them. */
export const cursorsOf = (api: Api): ((o: Cancel) => Promise<Cursors>) => {
  let made: Cursors | undefined;
  return async (o) => (made ??= cursorsWith(await api.store.sharedSecret('cursors', o)));
};

import type { Principal } from '../access/scopes.ts';
import { type KnownEntity, knownTo } from './kept-records.ts';
import type { QuestionEarly } from './look-early.ts';
import type { RecordRoutes } from './record-routes.ts';

/** A question about records that the app has not seen. */
export interface AskedEarly extends KnownEntity {
  readonly url: string;
  readonly principal: Principal;
  readonly name: string;
  /** The key as it was sent; undefined: a list. */
  readonly segment: string | undefined;
  /** What stands behind the `?`. */
  readonly query: string | undefined;
}

/** A list or a record whose entity and key are written as they are, with printable parameters. */
const plainPath = /^\/api\/v1\/records\/([\w-]{1,200})(?:\/([\w.~,-]{1,200}))?(?:\?([\x21-\x7e]*))?$/;
const longest = 2000;

/** Undefined: not such a question, or one that whoever answers has something to tell about. */
export const askedEarly = (x: RecordRoutes, { url, principal }: QuestionEarly): AskedEarly | undefined => {
  const path = url.length > longest ? null : plainPath.exec(url);
  if (path === null) return undefined;
  const [, name, segment, query] = path as unknown as [string, string, string | undefined, string | undefined];
  const known = knownTo(x, principal, name);
  return known === undefined ? undefined : { ...known, url, principal, name, segment, query };
};

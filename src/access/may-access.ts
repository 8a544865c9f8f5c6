import type { Principal } from './scopes.ts';

/** What an answer shows or a request touches: something of a sync (null: of none), or a record entity. */
export type Protected = { readonly sync: string | null } | { readonly record: string };

/**
 * May this caller know of the object at all? The one place that knows: a route asks it for every object that it shows
 * or touches, and answers as if what is refused did not exist (404, or left out of a list). Scopes are checked before,
 * for the route as a whole. A caller who is bound sees nothing that belongs to no sync and no entity.
 */
export const mayAccess = ({ only }: Principal, object: Protected): boolean => {
  if (only === undefined) return true;
  if ('record' in object) return only.records?.includes(object.record) === true;
  return object.sync !== null && only.syncs?.includes(object.sync) === true;
};

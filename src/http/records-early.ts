import { askedEarly } from './asked-early.ts';
import { keptEarly } from './kept-early.ts';
import { listRoute, recordRoute } from './kept-records.ts';
import type { LookEarly, Ready } from './look-early.ts';
import { readEarly } from './read-early.ts';
import type { RecordRoutes } from './record-routes.ts';

/** Lists and records before the app has looked at the request: those that are kept, and those that are read. */
export const recordsEarly = (x: RecordRoutes, ending: AbortSignal): LookEarly | undefined => {
  // the path of an alias might be one that looks like a record's
  const { records } = x.api.config();
  if (Object.values(records).some(({ aliases }) => aliases.some((alias) => alias.startsWith('/records/'))))
    return undefined;
  const kept = keptEarly(x);
  const read = readEarly(x, ending);
  return {
    keeps: kept !== undefined,
    look: (question, tell) => {
      const asked = askedEarly(x, question);
      if (asked === undefined) return false;
      const route = asked.segment === undefined ? listRoute : recordRoute;
      const told = (ready: Ready | undefined): void => tell(route, ready);
      if (asked.kept !== undefined) return kept?.(asked, told) ?? false;
      return question.exchange !== undefined && read(asked, question.exchange, told);
    },
  };
};

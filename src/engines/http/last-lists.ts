import type { Spool } from './spool.ts';

/**
 * The list of each resource as it was last read whole by any reader of an endpoint. What the addresses of single items
 * show is held against it: where the two contradict each other, neither is believed alone.
 */
export interface LastLists extends Disposable {
  get(resource: string): Spool | undefined;
  keep(resource: string, spool: Spool): void;
  /** We have written there ourselves. */
  forget(resource: string): void;
}

export const lastLists = (): LastLists => {
  const kept = new Map<string, Spool>();
  const forget = (resource: string): void => {
    kept.get(resource)?.[Symbol.dispose]();
    kept.delete(resource);
  };
  return {
    get: (resource) => kept.get(resource),
    keep: (resource, spool) => {
      forget(resource);
      kept.set(resource, spool.share());
    },
    forget,
    [Symbol.dispose]: () => {
      for (const resource of [...kept.keys()]) forget(resource);
    },
  };
};

/** A failure that was met, in words without secrets. */
export interface Failure {
  readonly where: 'requests' | 'endpoints';
  /** A stable code. */
  readonly kind: string;
  /** The endpoint or the route. */
  readonly subject: string;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface FailureGroup {
  readonly where: Failure['where'];
  readonly kind: string;
  readonly count: number;
  readonly first: number;
  readonly last: Failure;
}

/** Failures of this process, by kind. Bounded: of very many kinds those that were not met for longest are forgotten. */
export interface Failures {
  note(failure: Failure): void;
  /** Those that were met since then; counts are of the whole life of the process's memory of the kind. */
  groups(since: number): readonly FailureGroup[];
}

const maxKinds = 200;

export const openFailures = (): Failures => {
  const groups = new Map<string, FailureGroup>();
  return {
    note: (failure) => {
      const name = JSON.stringify([failure.where, failure.kind, failure.subject]);
      const { count = 0, first = failure.at } = groups.get(name) ?? {};
      // the newest stands last
      groups.delete(name);
      const { where, kind } = failure;
      groups.set(name, { where, kind, count: count + 1, first, last: failure });
      if (groups.size > maxKinds) groups.delete(groups.keys().next().value!);
    },
    groups: (since) => [...groups.values()].filter((group) => group.last.at >= since).reverse(),
  };
};

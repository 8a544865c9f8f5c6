import { LockstepError } from '../../model/errors.ts';
import type { Pair } from '../../model/pair.ts';

/** The pair seen from the other side: what is planned for its target is written to the source. */
export const turned = (pair: Pair): Pair => {
  const { transform, filter } = pair;
  if (transform !== undefined) {
    throw new LockstepError(
      'CONFIG',
      `${pair.name}: rows of the source are transformed or validated (${transform.description}), so the source cannot be written to`,
      { hint: 'Leave the transformation out of a two-way sync, or make it a one-way sync with `conflict:`.' },
    );
  }
  return {
    name: pair.name,
    source: pair.target,
    target: pair.source,
    columns: pair.columns.map((c) => ({ ...c, source: c.target, target: c.source })),
    keyWidth: pair.keyWidth,
    ...(filter === undefined
      ? {}
      : {
          filter: {
            ...(filter.target === undefined ? {} : { source: filter.target }),
            ...(filter.source === undefined ? {} : { target: filter.source }),
          },
        }),
    notCompared: pair.notCompared,
    warnings: [],
  };
};

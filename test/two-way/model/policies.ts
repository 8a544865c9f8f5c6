import { createHash } from 'node:crypto';
import type { ColumnPolicy, ConflictPolicy, PolicyCase, PolicyStep } from '../../../src/model/policy.ts';
import { manualPolicy } from '../../../src/model/policy.ts';
import type { Random } from '../../acceptance/random.ts';

const where = 'model';

/** Pure, and yet without any pattern. */
const decide = (c: PolicyCase) => {
  const text = JSON.stringify([c.key, c.source, c.target], (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
  const dice = createHash('sha256').update(text).digest()[0]! % 6;
  if (dice === 0) return undefined;
  if (dice === 1) return 'ask';
  if (dice === 2 && c.source !== null && c.target !== null) {
    // From both: nobody's value alone.
    const row = Object.fromEntries(
      c.columns.map((name) => [name, dice % 2 === 0 ? c.source![name]! : c.target![name]!]),
    );
    return { row };
  }
  return dice % 2 === 0 ? ('source' as const) : ('target' as const);
};

const steps = {
  manual: () => [],
  'prefer source': () => [{ kind: 'prefer', side: 'source', where }],
  'prefer target': () => [{ kind: 'prefer', side: 'target', where }],
  last_write_wins: ({ chance }: Random) => [
    {
      kind: 'last_write_wins',
      newest: { source: 'stamp' },
      skewMs: 0,
      ...(chance(0.3) ? { ties: 'source' as const } : {}),
      where,
    },
  ],
  rules: ({ chance }: Random) => [
    {
      kind: 'rules',
      where,
      rules: chance(0.5)
        ? [{ kind: 'prefer', column: 'status', values: ['active', 'new', 'done'], where }]
        : [
            {
              kind: 'transitions',
              column: 'status',
              transitions: new Map([
                ['new', ['active', 'done']],
                ['active', ['done']],
              ]),
              where,
            },
          ],
    },
    ...(chance(0.5) ? [{ kind: 'prefer', side: 'target', where } as const] : []),
  ],
  keep_both: () => [{ kind: 'keep_both', newKey: { add: '5' }, where }],
  function: () => [{ kind: 'function', decide, where }],
} satisfies Record<string, (random: Random) => readonly PolicyStep[]>;

/** A policy of any kind, with a counter that sums in every one of them; and what it is called. */
export const anyPolicy = (
  random: Random,
): { readonly name: string; readonly people: ConflictPolicy; readonly orders: ConflictPolicy } => {
  const { chance, pick } = random;
  const kind = pick(Object.keys(steps) as (keyof typeof steps)[]);
  const made: readonly PolicyStep[] = steps[kind](random);
  const columns: Record<string, ColumnPolicy> = {
    n: { steps: [{ kind: 'rules', rules: [{ kind: 'take', take: 'sum', column: 'n', where }], where }], where },
  };
  if (chance(0.4))
    columns['stamp'] = {
      steps: [{ kind: 'rules', rules: [{ kind: 'take', take: 'max', column: 'stamp', where }], where }],
      where,
    };
  const owned = chance(0.3);
  if (owned) {
    columns['name'] = { owner: 'source', where };
    columns['note'] = { owner: 'target', where };
  }
  const deleted: PolicyStep = { kind: 'prefer', side: pick(['source', 'target']), where };
  const word = chance(0.4);
  const atomic = chance(0.2);
  const scope = pick(['row', 'column'] as const);
  const general =
    kind === 'keep_both'
      ? { ...manualPolicy(where), on: { insert_insert: made } }
      : { ...manualPolicy(where), steps: made };
  const people: ConflictPolicy = {
    ...general,
    ...(word ? { on: { ...general.on, update_delete: [deleted], delete_update: [deleted] } } : {}),
    columns,
    scope,
    atomic,
  };
  const simple = made.every((s) => s.kind === 'prefer' || s.kind === 'function');
  return {
    name: `${kind}${owned ? ', owners' : ''}${word ? `, ${deleted.side} of deleted` : ''}${atomic ? ', atomic' : ''}, ${scope}`,
    people,
    orders: { ...manualPolicy(where), steps: simple ? made : [] },
  };
};

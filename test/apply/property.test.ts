import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { totalOf } from '../../src/apply/numbers.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Journal } from '../../src/model/journal.ts';
import type { Row } from '../../src/model/row.ts';
import type { Writer } from '../../src/model/writer.ts';
import { applied, type Bench, bench, memoryPair, planned } from './bench.ts';
import { reference, table } from './tables.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();

const groups = table('groups', 'id! name~?');
const members = table('members', 'id! groups_id? note?', { foreignKeys: [reference('groups_id', 'groups')] });

/** What happens to one call of `Writer.apply`. */
type Fault = 'fine' | 'refused' | 'lost reply' | 'lost request' | 'stranger';

/** A target whose calls fail as told, and on which a stranger writes in between. */
const faulty = (target: Endpoint, faults: readonly Fault[], stranger: () => void): Endpoint => {
  const { writer } = target as { writer: Writer };
  let call = 0;
  const apply: Writer['apply'] = async (mark, batches, o) => {
    const fault = faults[call++ % Math.max(1, faults.length)] ?? 'fine';
    if (mark.step === 0) return writer.apply(mark, batches, o);
    if (fault === 'refused') throw new LockstepError('CONTENTION', 'deadlock');
    if (fault === 'lost request') throw new LockstepError('CONNECTION_LOST', 'broken before');
    if (fault === 'stranger') stranger();
    const result = await writer.apply(mark, batches, o);
    if (fault === 'lost reply') throw new LockstepError('CONNECTION_LOST', 'broken after');
    return result;
  };
  return { ...target, writer: { ...writer, apply } };
};

const name = fc.constantFrom('a', 'b', 'c', 'd', 'bad', null);
const groupRows = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 8 }).map(String), name), {
  maxLength: 6,
  selector: (r) => r[0],
});
const uniqueNames = (rows: readonly (readonly [string, string | null])[]): [string, string | null][] => {
  const seen = new Set<string>();
  return rows.map(([id, n]) => {
    if (n === null || seen.has(n)) return [id, null];
    seen.add(n);
    return [id, n];
  });
};
const database = fc
  .tuple(groupRows.map(uniqueNames), fc.array(fc.tuple(fc.nat(7), fc.constantFrom('x', 'y', null)), { maxLength: 6 }))
  .map(([g, m]) => ({
    groups: g as (string | null)[][],
    members: m.map(
      ([to, note], i) =>
        [String(i), g.length === 0 || to === 7 ? null : g[to % g.length]![0], note] as (string | null)[],
    ),
  }));

test('random plans under random faults: the numbers add up and every row is explained', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      database,
      database,
      fc.array(fc.constantFrom<Fault>('fine', 'refused', 'lost reply', 'lost request', 'stranger'), { maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom<'batch' | 'run'>('batch', 'batch', 'run'),
      async (source, target, faults, batchSize, concurrency, atomic) => {
        const tables = (d: typeof source, strict: boolean) => [
          {
            table: groups,
            rows: d.groups,
            ...(strict
              ? {
                  check: (r: Readonly<Record<string, unknown>>) =>
                    r['name'] === 'bad' && r['id'] !== '1' ? 'no bad' : undefined,
                }
              : {}),
          },
          { table: members, rows: d.members },
        ];
        if (source.groups.length === 0 || source.members.length === 0) return;
        const p = memoryPair(tables(source, false), tables(target, true));
        const { plan } = await planned(b.store, p);
        const total = totalOf(plan.header.counts);
        if (total === 0) return;
        const strangers = new Map<string, Row>();
        const stranger = (): void => {
          p.right.edit('members', (all) =>
            all.map((row, i) => {
              if (i !== 0) return row;
              const edited = [row[0]!, row[1]!, `s${strangers.size}`] as unknown as Row;
              strangers.set(row[0]!, edited);
              return edited;
            }),
          );
        };
        const settings = { batchSize, concurrency, atomic, retry: { attempts: 3, baseMs: 0, maxMs: 0 } };
        // As long as it takes: each interrupted run is gone on with.
        let broken = faulty(p.target, faults, stranger);
        let done: Awaited<ReturnType<typeof applied>> | undefined;
        for (let round = 0; done === undefined; round++) {
          try {
            done = await applied(b.store, plan.header.id, { target: broken, settings });
          } catch (error) {
            assert.ok(error instanceof LockstepError && error.retry === 'now', String(error));
            if (round > 2) broken = p.target;
          }
        }
        const n = done.result.numbers;
        assert.equal(totalOf(n.applied) + n.already + n.moved + n.rejected + n.rolled_back, total);

        // Every planned key shows what its outcome says.
        const now = new Map<string, Row>();
        for (const t of ['groups', 'members'])
          for (const row of p.right.state.rows.get(t)!) now.set(`${t} ${row[0]}`, row);
        const fate = new Map<number, string>();
        for await (const batch of b.store.journal.outcomes(done.run, { signal })) {
          for (const { item, outcome } of batch) {
            assert.ok(!fate.has(item.seq), `item ${item.seq} has two outcomes`);
            fate.set(item.seq, outcome.status);
          }
        }
        // A row may be written twice in one transaction: it gives a unique value up, and goes.
        const images = new Map<string, { before: Row | null; after: Row | null; status: string | undefined }>();
        for await (const batch of b.store.plans.items(plan.header.id, { signal })) {
          for (const { seq, table: t, change } of batch) {
            const id = `${plan.header.tables[t]!.table.name} ${change.key[0]}`;
            if (strangers.has(change.key[0]!) && id.startsWith('members')) continue;
            const { before } = images.get(id) ?? change;
            images.set(id, { before, after: change.after, status: fate.get(seq) });
          }
        }
        for (const [id, { before, after, status }] of images) {
          const wanted = status === 'applied' || status === 'already' ? after : before;
          assert.deepEqual(now.get(id) ?? null, wanted, `${id} ${status}`);
        }
        // No row that was not planned has changed, and no stranger's edit is lost unless it came before a write of ours.
        const planned0 = new Set<string>();
        for await (const batch of b.store.plans.items(plan.header.id, { signal })) {
          for (const { table: t, change } of batch)
            planned0.add(`${plan.header.tables[t]!.table.name} ${change.key[0]}`);
        }
        for (const t of ['groups', 'members'] as const) {
          for (const row of target[t]) {
            const id = `${t} ${row[0]}`;
            if (planned0.has(id)) continue;
            assert.deepEqual(now.get(id), t === 'members' ? (strangers.get(row[0]!) ?? row) : row);
          }
        }
        assert.equal((await b.store.journal.open(done.run, { signal })).length, 0);
      },
    ),
    { numRuns: 120 },
  );
});

test('a lost reply after the commit is settled by the marker, not by looking at rows', async () => {
  const p = memoryPair([{ table: groups, rows: [['1', 'a']] }], [{ table: groups, rows: [] }]);
  const { plan } = await planned(b.store, p);
  // After our insert was committed and its reply lost, a stranger deletes the row: it must not be written again.
  const { writer } = p.target as { writer: Writer };
  let lost = false;
  const target: Endpoint = {
    ...p.target,
    writer: {
      ...writer,
      apply: async (mark, batches, o) => {
        const result = await writer.apply(mark, batches, o);
        if (mark.step === 0 || lost) return result;
        lost = true;
        p.right.edit('groups', () => []);
        throw new LockstepError('CONNECTION_LOST', 'the reply to COMMIT is lost');
      },
    },
  };
  const done = await applied(b.store, plan.header.id, { target });
  assert.ok(lost);
  assert.deepEqual(done.result.numbers.applied, { insert: 1, update: 0, delete: 0 });
  assert.deepEqual(p.right.state.rows.get('groups'), []);
});

test('stopped between two batches, a run is saved and the same plan goes on with it', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => [String(i + 1), `n${i}`]);
  const p = memoryPair([{ table: groups, rows }], [{ table: groups, rows: [] }]);
  const { plan } = await planned(b.store, p);
  const stop = new AbortController();
  const { writer } = p.target as { writer: Writer };
  let calls = 0;
  const target: Endpoint = {
    ...p.target,
    writer: {
      ...writer,
      apply: async (...args) => {
        if (++calls === 3) stop.abort();
        return writer.apply(...args);
      },
    },
  };
  const settings = { batchSize: 10, concurrency: 1 };
  const first = await applied(b.store, plan.header.id, { target, stop: stop.signal, settings });
  assert.equal(first.result.stopped?.code, 'ABORTED');
  assert.equal(first.result.numbers.applied.insert, 20);
  assert.equal(first.result.numbers.pending, 10);
  assert.match(first.result.stopped!.hint!, new RegExp(`lockstep apply ${plan.header.id}`));
  const second = await applied(b.store, plan.header.id, { target: p.target });
  assert.equal(second.run, first.run);
  assert.equal(second.resumed, true);
  assert.equal(second.result.numbers.applied.insert, 30);
  assert.equal(second.exit, 0);
});

test('a run that is stopped after rows were refused has settled all it wrote, and tries them again when it goes on', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => [String(i + 1), null]);
  let strict = true;
  const check = (r: { readonly [name: string]: unknown }) =>
    strict && ['2', '7'].includes(String(r['id'])) ? 'closed' : undefined;
  const p = memoryPair([{ table: groups, rows }], [{ table: groups, rows: [], check }]);
  const { plan } = await planned(b.store, p);
  const stop = new AbortController();
  const journal: Journal = {
    ...b.store.journal,
    settle: async (run, step, end, o) => {
      if ((end.counts?.['insert'] ?? 0) > 0) stop.abort();
      await b.store.journal.settle(run, step, end, o);
    },
  };
  const settings = { batchSize: 10, concurrency: 1 };
  const first = await applied({ ...b.store, journal }, plan.header.id, {
    target: p.target,
    stop: stop.signal,
    settings,
  });
  assert.equal(first.result.stopped?.code, 'ABORTED');
  assert.deepEqual([first.result.numbers.applied.insert, first.result.numbers.pending], [8, 22]);
  // it can be taken back as it is
  assert.deepEqual(await b.store.journal.open(first.run, { signal }), []);
  strict = false;
  const second = await applied(b.store, plan.header.id, { target: p.target });
  assert.equal(second.run, first.run);
  assert.equal(second.result.numbers.applied.insert, 30);
  assert.equal(second.exit, 0);
});

test('the cap on refused rows stops the run; what was written stays and the plan can go on', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => [String(i + 1), null]);
  let strict = true;
  const p = memoryPair(
    [{ table: groups, rows }],
    [{ table: groups, rows: [], check: (r) => (strict && Number(r['id']) > 10 ? 'closed' : undefined) }],
  );
  const { plan } = await planned(b.store, p);
  const stopped = await applied(b.store, plan.header.id, {
    target: p.target,
    settings: { batchSize: 10, maxRejected: 3, concurrency: 1 },
  });
  assert.equal(stopped.result.stopped?.code, 'GUARD');
  assert.equal(stopped.exit, 22);
  assert.equal(stopped.result.numbers.applied.insert, 10);
  strict = false;
  const second = await applied(b.store, plan.header.id, { target: p.target });
  assert.equal(second.result.numbers.rejected, 4);
  assert.equal(second.result.numbers.applied.insert, 26);
});

import type { Change } from '../../../src/model/change.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { LockstepError } from '../../../src/model/errors.ts';
import type { Applied, TableChanges, Writer, WriterLock } from '../../../src/model/writer.ts';
import { overEndpoint, overWriter } from '../wrap.ts';
import type { Mutation } from './mutation.ts';

/** Breaks what a writer does. `w` is the true writer; the change may keep state, one per connection. */
const writer = (name: string, caughtBy: RegExp, change: (w: Writer, e: Endpoint) => Partial<Writer>): Mutation => ({
  name,
  caughtBy,
  breakIt: (e) => (e.writer ? overEndpoint(e, { writer: overWriter(e.writer, change(e.writer, e)) }) : e),
});

type Apply = Writer['apply'];

/** When a step is stale, changes its changes and tries again, as a writer with a weaker guard would have written. */
const insist =
  (w: Writer, weaken: (change: Change, found: readonly (string | null)[] | null) => readonly Change[]): Apply =>
  async (mark, batches, o) => {
    let list = await Array.fromAsync(batches);
    for (let tries = 0; ; tries++) {
      const applied: Applied = await w.apply(mark, list, o);
      if (applied.status !== 'stale' || tries === 3) return applied;
      const found = new Map(applied.rows.map((r) => [r.change, r.found]));
      list = list.map(
        (batch): TableChanges => ({
          ...batch,
          changes: batch.changes.flatMap((c) => (found.has(c) ? weaken(c, found.get(c)!) : [c])),
        }),
      );
    }
  };

const patient = new AbortController().signal;

export const writingMutations: readonly Mutation[] = [
  writer('the marker is not written', /a step that is repeated|inserts, updates and deletes/, (w) => {
    let n = 0;
    return { apply: (mark, ...a) => w.apply({ ...mark, run: `${mark.run}-${n++}` }, ...a) };
  }),
  writer('a repeated step writes again', /a step that is repeated/, (w) => ({
    apply: async (mark, batches, o) => {
      const list = await Array.fromAsync(batches);
      const applied = await w.apply(mark, list, o);
      if (applied.status === 'already') await w.apply({ ...mark, run: 'again' }, list, o);
      return applied;
    },
  })),
  writer('what is not stale is written all the same', /a moved row stops/, (w) => ({
    apply: async (mark, batches, o) => {
      const list = await Array.fromAsync(batches);
      const applied = await w.apply(mark, list, o);
      if (applied.status === 'stale') {
        const stale = new Set(applied.rows.map((r) => r.change));
        await w.apply(
          mark,
          list.map((b) => ({ ...b, changes: b.changes.filter((c) => !stale.has(c)) })),
          o,
        );
      }
      return applied;
    },
  })),
  writer('stale rows are dropped and the rest called done', /a moved row stops/, (w) => ({
    apply: insist(w, () => []),
  })),
  writer('a row that moved is overwritten', /a moved row stops|outside the written/, (w) => ({
    apply: insist(w, (c, found) => (c.op === 'insert' || found === null ? [] : [{ ...c, before: found } as Change])),
  })),
  writer('only the written columns are guarded', /outside the written columns/, (w) => ({
    apply: insist(w, (c, found) =>
      c.op === 'update' && found && c.columns.every((i) => found[i] === c.before[i])
        ? [{ ...c, before: found } as Change]
        : [c],
    ),
  })),
  writer('deletes are guarded by their key only', /outside the written columns/, (w) => ({
    apply: insist(w, (c, found) => (c.op === 'delete' && found ? [{ ...c, before: found } as Change] : [c])),
  })),
  writer('NULL equals the empty text in the guard', /NULL and the empty text/, (w) => ({
    apply: insist(w, (c, found) =>
      found && c.before?.every((cell, i) => (cell ?? '') === (found[i] ?? ''))
        ? [{ ...c, before: found } as Change]
        : [c],
    ),
  })),
  writer('an insert skips a row that exists', /an insert never writes over/, (w) => ({
    apply: insist(w, (c) => (c.op === 'insert' ? [] : [c])),
  })),
  writer('an insert overwrites a row that exists', /an insert never writes over/, (w) => ({
    apply: async (mark, batches, o) => {
      const list = await Array.fromAsync(batches);
      const applied = await w.apply(mark, list, o);
      if (applied.status !== 'stale') return applied;
      const found = new Map(applied.rows.map((r) => [r.change, r.found]));
      const forced = list.flatMap((b) => [
        { ...b, changes: b.changes.filter((c) => !found.has(c)) },
        {
          ...b,
          changes: b.changes.flatMap((c): Change[] =>
            c.op === 'insert' && found.get(c) ? [{ ...c, op: 'update', before: found.get(c)! }] : [],
          ),
        },
      ]);
      return w.apply(
        mark,
        forced.filter((b) => b.changes.length > 0),
        o,
      );
    },
  })),
  writer('every batch commits by itself', /what the database refuses|a moved row stops|aborting between/, (w) => ({
    apply: async (mark, batches, o) => {
      let n = 0;
      for await (const batch of batches) {
        const applied = await w.apply({ ...mark, step: mark.step + 1000 * ++n }, [batch], o);
        if (applied.status !== 'done') return applied;
      }
      return w.apply(mark, [], o);
    },
  })),
  writer('a refusal is called done', /what the database refuses/, (w) => ({
    apply: async (...a) => {
      const applied = await w.apply(...a);
      return applied.status === 'rejected' ? { status: 'done' } : applied;
    },
  })),
  writer('a refusal has no words', /what the database refuses/, (w) => ({
    apply: async (...a) => {
      const applied = await w.apply(...a);
      return applied.status === 'rejected' ? { ...applied, reason: '' } : applied;
    },
  })),
  writer('the planned row is reported instead of the stored one', /read back as stored/, (w) => ({
    apply: (mark, batches, { written, ...o }) =>
      w.apply(mark, batches, {
        ...o,
        written: ({ batch }) => written?.({ batch, stored: batch.changes.map((c) => c.after) }),
      }),
  })),
  writer('nothing is reported as written', /read back as stored/, (w) => ({
    apply: (mark, batches, { signal }) => w.apply(mark, batches, { signal }),
  })),
  writer('failures of the journal are swallowed', /a failure of the one who is told/, (w) => ({
    apply: (mark, batches, { written, ...o }) =>
      w.apply(mark, batches, {
        ...o,
        written: async (x) => {
          try {
            await written?.(x);
          } catch {}
        },
      }),
  })),
  writer('an abort on the way is not looked at', /aborting between two batches/, (w) => ({
    apply: (mark, batches, o) => w.apply(mark, batches, { ...o, signal: patient }),
  })),
  writer('what was not stored is found stored', /a moved row stops|inserts, updates/, () => ({
    applied: async () => true,
  })),
  writer('a marker is looked up by the token of who asks', /inserts, updates and deletes/, (w) => ({
    applied: (mark, o) => w.applied({ ...mark, ...('token' in mark ? { by: mark.token as bigint } : {}) }, o),
  })),
  writer('whose marker it is is not looked at', /inserts, updates and deletes/, (w) => ({
    applied: ({ run, step }, o) => w.applied({ run, step }, o),
  })),
  writer('what was stored is not found', /inserts, updates and deletes|an empty step/, () => ({
    applied: async () => false,
  })),
  writer('empty steps leave no marker', /an empty step/, (w) => ({
    apply: async (mark, batches, o) => {
      const list = await Array.fromAsync(batches);
      return list.length === 0 ? { status: 'done' } : w.apply(mark, list, o);
    },
  })),
  writer('the fencing token is not looked at', /a lock whose holder has died/, (w) => ({
    apply: (mark, ...a) => w.apply({ ...mark, token: 1n << 62n }, ...a),
  })),
  writer('the lock excludes nobody', /a second writer is refused/, () => {
    let token = 0n;
    return { lock: async (): Promise<WriterLock> => ({ token: ++token, [Symbol.asyncDispose]: async () => {} }) };
  }),
  writer('the holder of the lock is not named', /a second writer is refused/, (w) => ({
    lock: async (...a) => {
      try {
        return await w.lock(...a);
      } catch (error) {
        if (error instanceof LockstepError && error.code === 'LOCK_HELD')
          throw new LockstepError('LOCK_HELD', 'Locked.');
        throw error;
      }
    },
  })),
  writer('the lock is never given back', /a second writer is refused/, (w) => ({
    lock: async (...a) => ({ token: (await w.lock(...a)).token, [Symbol.asyncDispose]: async () => {} }),
  })),
  {
    ...writer('sequences stay where they are', /explicit keys of a serial/, () => ({
      advanceSequences: async () => {},
    })),
    // These move them on by themselves.
    when: (harness) => harness.name !== 'sqlite' && harness.name !== 'mysql',
  },
  {
    name: 'our own tables are shown',
    caughtBy: /our own tables/,
    breakIt: (e) =>
      overEndpoint(e, {
        inspect: async (o) => {
          const schema = await e.inspect(o);
          return { ...schema, tables: schema.tables.flatMap((t) => [t, { ...t, name: 'lockstep_steps' }]) };
        },
      }),
  },
];

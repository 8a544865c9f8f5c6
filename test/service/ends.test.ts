import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Runs } from '../../src/model/store.ts';
import { recorded } from '../../src/work/recorded.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';

const { store, database } = await freshStore();
const lost = () => new LockstepError('CONNECTION_LOST', 'the connection broke');
const endsOf = async (run: string): Promise<number> => {
  const { rows } = await database.query(
    `select count(*)::int as n from lockstep_control.event where type = 'run.finished' and subject = 'runs/${run}'`,
  );
  return rows[0].n;
};

for (const reached of [true, false])
  test(`work that is done is recorded as done once when the store ${reached ? 'did not answer' : 'was away'} at its end`, async () => {
    const run = newRun();
    const told: string[] = [];
    const finish: Runs['finish'] = async (id, end, c) => {
      told.push(end.state);
      if (reached || told.length > 1) await store.runs.finish(id, end, c);
      if (told.length === 1) throw lost();
    };
    const ended = await recorded({ runs: { ...store.runs, finish } }, systemClock, run, o, async () => ({
      exit: 2,
      report: { made: 1 },
    }));
    assert.equal(ended.exit, 2);
    assert.deepEqual(told, ['done', 'done']);
    const { state, exit, report } = (await store.runs.get(run.id, o))!;
    assert.deepEqual([state, exit, report], ['done', 2, { made: 1 }]);
    assert.equal(await endsOf(run.id), 1);
    const failed = { state: 'failed', exit: 21, finished: Date.now() } as const;
    await assert.rejects(store.runs.finish(run.id, failed, o), { code: 'FENCED' });
    assert.equal((await store.runs.get(run.id, o))!.state, 'done');
  });

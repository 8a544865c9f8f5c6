import { startPostgres, storeDatabase } from '../test/servers/postgres.ts';
import { history } from '../test/two-way/model/history.ts';
import { firebirdSide, postgresSide } from '../test/two-way/model/side.ts';

const pairs = [
  [postgresSide, postgresSide],
  [postgresSide, firebirdSide],
  [postgresSide, postgresSide],
  [firebirdSide, postgresSide],
] as const;

export interface Histories {
  readonly histories: number;
  readonly steps: number;
  readonly runs: number;
}

/** Histories of two-way syncs until the time is over; fails at the first write that is lost, with its seed. */
export const soakTwoWay = async (seconds: number, first: number): Promise<Histories> => {
  await using own = await startPostgres();
  process.env['LOCKSTEP_TEST_POSTGRES_URL'] = own.url();
  await using store = await storeDatabase();
  const until = performance.now() + seconds * 1000;
  const sum = { histories: 0, steps: 0, runs: 0 };
  for (let seed = first; performance.now() < until; seed++) {
    const [left, right] = pairs[seed % pairs.length]!;
    const done = await history({
      seed,
      storeUrl: store.url,
      bursts: 10,
      sides: async () => ({ source: await left('left'), target: await right('right') }),
    });
    console.log(`${seed}: ${JSON.stringify(done)}`);
    sum.histories++;
    sum.steps += done.steps;
    sum.runs += done.runs;
  }
  console.log(`${sum.histories} histories of ${sum.steps} writes and ${sum.runs} runs: nothing lost, all came to rest`);
  return sum;
};

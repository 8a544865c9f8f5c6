import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rhythmOf } from './rhythm.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 21, 12);
const rest = { jitterMs: 0, missed: 'skip', timezone: 'UTC' } as const;

test('a sync that starts by itself may go without a proof for a day, or two of its longest waits', () => {
  const syncs = {
    seconds: { schedule: { ...rest, everyMs: 5000 } },
    weekly: { schedule: { ...rest, cron: '0 3 * * 1' } },
    working: { schedule: { ...rest, cron: '0 3 * * 1-5' } },
    never: { schedule: { ...rest, cron: '0 0 30 2 *' } },
    follower: { after: 'weekly' },
    hand: {},
    one: { after: 'two' },
    two: { after: 'one' },
  };
  const of = (name: string) => rhythmOf(syncs, name, now);
  assert.equal(of('seconds'), day);
  assert.equal(of('weekly'), 14 * day);
  assert.equal(of('working'), 6 * day);
  assert.equal(of('never'), day);
  assert.equal(of('follower'), 14 * day);
  assert.equal(of('hand'), undefined);
  assert.equal(of('one'), undefined);
  assert.equal(of('elsewhere'), undefined);
});

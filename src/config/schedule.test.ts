import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueAfter, nextDue, type ScheduleRule, scheduleOf } from './schedule.ts';
import type { WrittenSchedule } from './schedule-schema.ts';
import { parseDuration } from './units.ts';

const read = (written: WrittenSchedule): ScheduleRule =>
  scheduleOf(written, {
    duration: (value) => parseDuration(value)!,
    wrong: (key, what) => new Error(`${key}: ${what}`),
  });
const at = (text: string): number => Date.parse(text);
const times = (rule: ScheduleRule, from: string, n: number): readonly string[] => {
  const found: string[] = [];
  for (let due = at(from), i = 0; i < n; i++) {
    due = dueAfter(rule, due, due)!;
    found.push(new Date(due).toISOString().slice(0, 16));
  }
  return found;
};

test('a daily time comes once a day, also where clocks are put forward and back', () => {
  const rule = read({ cron: '30 2 * * *', timezone: 'Europe/Zurich' });
  // 02:30 is not there on the 29th: the first moment after it is taken
  assert.deepEqual(times(rule, '2026-03-28T00:00Z', 3), ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30']);
  // 02:30 is there twice on the 25th: the first is taken
  assert.deepEqual(times(rule, '2026-10-24T00:00Z', 3), ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30']);
});

test('between the two hours that are one, a daily time that has been does not come again', () => {
  const rule = read({ cron: '30 2 * * *', timezone: 'Europe/Zurich' });
  // 02:10 in the second of them; the time of 00:30Z was made late
  const now = at('2026-10-25T01:10Z');
  assert.equal(dueAfter(rule, at('2026-10-25T00:30Z'), now), at('2026-10-26T01:30Z'));
});

test('an hourly time comes every hour, whatever clocks do', () => {
  const rule = read({ cron: '0 * * * *', timezone: 'America/New_York' });
  for (const day of ['2026-03-08', '2026-11-01']) {
    const found = times(rule, `${day}T03:30Z`, 6).map((t) => at(`${t}Z`));
    assert.deepEqual(
      found.slice(1).map((t, i) => t - found[i]!),
      [1, 1, 1, 1, 1].map((h) => h * 3_600_000),
    );
  }
});

test('after a long time away, the next time is after now, and found at once', () => {
  for (const written of [
    { every: '1s' },
    { cron: '* * * * * *' },
    { cron: '*/5 * * * *', timezone: 'Asia/Kathmandu' },
  ]) {
    const rule = read(written);
    const now = at('2026-06-01T12:00:00.500Z');
    const due = dueAfter(rule, at('2020-01-01T00:00Z'), now)!;
    assert.ok(due > now && due <= now + 300_000, `${JSON.stringify(written)}: ${new Date(due).toISOString()}`);
    assert.equal(due, nextDue(rule, now));
  }
});

test('an interval keeps to its multiples, from one second on', () => {
  assert.equal(nextDue(read({ every: '5s' }), 12_345), 15_000);
  assert.equal(nextDue(read({ every: '1s' }), 1000), 2000);
  assert.throws(() => read({ every: '900ms' }), /every: expected at least 1s/);
});

test('mistakes are named', () => {
  for (const [written, what] of [
    [{}, /either cron or every/],
    [{ cron: '* * * * *', every: '5s' }, /either cron or every/],
    [{ cron: '61 * * * *' }, /cron: .* is not a cron pattern/],
    [{ cron: '0 0 30 2 *' }, /cron: .* never comes/],
    [{ cron: '0 0 * * *', timezone: 'Mars/Base' }, /timezone: there is no time zone/],
    [{ every: '5s', timezone: 'UTC' }, /timezone: a time zone needs cron/],
  ] as const)
    assert.throws(() => read(written), what);
});

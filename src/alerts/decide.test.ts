import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Alert, Condition, Silence } from '../model/alerts.ts';
import { decide } from './decide.ts';

const condition = (facts: Partial<Condition> = {}): Condition => ({
  rule: 'sync_failed',
  subject: 'syncs/a',
  sync: 'a',
  severity: 'critical',
  forMs: 0,
  summary: 'it failed',
  detail: 'run r_1',
  command: 'lockstep show r_1',
  value: 1,
  send: null,
  ...facts,
});
const silence = (facts: Partial<Silence>): Silence => ({
  id: 's',
  rule: null,
  sync: null,
  subject: null,
  until: 1e12,
  reason: 'x',
  by: 'me',
  at: 0,
  ...facts,
});

let ids = 0;
/** The alerts as they would stand after each look. */
const looking = (o: { readonly repeatMs?: number; readonly channels?: readonly string[] } = {}) => {
  let open: readonly Alert[] = [];
  return {
    get open() {
      return open;
    },
    acknowledge: (at: number) => {
      open = open.map((a) => ({ ...a, acked: { by: 'me', at, note: null } }));
    },
    look: (now: number, conditions: readonly Condition[], silences: readonly Silence[] = []) => {
      const result = decide(open, silences, conditions, {
        now,
        repeatMs: o.repeatMs,
        channels: o.channels ?? ['ops'],
        newId: (prefix) => `${prefix}_${++ids}`,
      });
      open = result.alerts.filter((a) => a.state !== 'resolved');
      return {
        states: result.alerts.map((a) => a.state),
        told: result.deliveries.map(
          (d) => `${d.channel}: ${d.body.alerts.map((a) => `${a.subject} ${a.state}`).join(', ')}`,
        ),
      };
    },
  };
};

test('a condition is pending until it has lasted, fires once, and is told to be over once', () => {
  const w = looking();
  const c = [condition({ forMs: 60 })];
  assert.deepEqual(w.look(100, c), { states: ['pending'], told: [] });
  assert.deepEqual(w.look(159, c), { states: ['pending'], told: [] });
  assert.deepEqual(w.look(160, c), { states: ['firing'], told: ['ops: syncs/a firing'] });
  assert.deepEqual(w.look(500, c), { states: ['firing'], told: [] });
  assert.deepEqual(w.look(501, []), { states: ['resolved'], told: ['ops: syncs/a resolved'] });
  assert.deepEqual(w.look(502, []), { states: [], told: [] });
});

test('what was pending and goes away is never told, and begins anew', () => {
  const w = looking();
  const c = [condition({ forMs: 60 })];
  w.look(100, c);
  assert.deepEqual(w.look(150, []), { states: ['resolved'], told: [] });
  assert.deepEqual(w.look(161, c), { states: ['pending'], told: [] });
});

test('a cause with a time of its own counts from then, never from the future', () => {
  const w = looking();
  assert.deepEqual(w.look(100, [condition({ forMs: 60, since: 30 })]).states, ['firing']);
  assert.equal(w.open[0]!.since, 30);
  const v = looking();
  v.look(100, [condition({ forMs: 60, since: 5000 })]);
  assert.deepEqual(v.look(170, [condition({ forMs: 60, since: 5000 })]).states, ['firing']);
});

test('alerts of one sync are told in one message to each channel that is meant', () => {
  const w = looking({ channels: ['ops', 'team'] });
  const { told } = w.look(1, [
    condition(),
    condition({ rule: 'drift', subject: 'syncs/a/p' }),
    condition({ sync: 'b', subject: 'syncs/b', send: ['team'] }),
    condition({ sync: null, subject: 'queue', send: [] }),
  ]);
  assert.deepEqual(told, [
    'ops: syncs/a firing, syncs/a/p firing',
    'team: syncs/a firing, syncs/a/p firing',
    'team: syncs/b firing',
  ]);
});

test('nobody is told where there is no channel, and it is told when there is one', () => {
  const o = { now: 1, repeatMs: undefined, channels: [], newId: (prefix: string) => `${prefix}_x` };
  const { alerts, deliveries } = decide([], [], [condition()], o);
  assert.deepEqual([alerts[0]!.notified, deliveries], [null, []]);
  assert.equal(decide(alerts, [], [condition()], { ...o, now: 2, channels: ['ops'] }).deliveries.length, 1);
});

test('a silence keeps it quiet and not unseen; when it ends and the cause stands, it is told', () => {
  const w = looking();
  const quiet = [silence({ sync: 'a' })];
  assert.deepEqual(w.look(1, [condition()], quiet), { states: ['firing'], told: [] });
  assert.deepEqual(w.look(2, [condition()]), { states: ['firing'], told: ['ops: syncs/a firing'] });
  assert.deepEqual(w.look(3, [], quiet), { states: ['resolved'], told: [] });
  w.look(4, [condition()], quiet);
  assert.deepEqual(w.look(5, []), { states: ['resolved'], told: [] }, 'nobody knew of it');
  assert.equal(looking().look(6, [condition()], [silence({ rule: 'drift' })]).told.length, 1);
  assert.equal(looking().look(6, [condition()], [silence({ rule: 'sync_failed', subject: 'syncs/a' })]).told.length, 0);
});

test('it is told again after a while, unless somebody looks after it', () => {
  const w = looking({ repeatMs: 100 });
  assert.equal(w.look(1, [condition()]).told.length, 1);
  assert.equal(w.look(100, [condition()]).told.length, 0);
  assert.equal(w.look(101, [condition()]).told.length, 1);
  assert.equal(w.look(199, [condition()]).told.length, 0);
  w.acknowledge(200);
  assert.equal(w.look(900, [condition()]).told.length, 0);
  assert.deepEqual(w.look(901, []).told, ['ops: syncs/a resolved']);
});

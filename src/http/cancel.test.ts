import assert from 'node:assert/strict';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { cancelWith } from './cancel.ts';

const answer = (): ServerResponse => new ServerResponse({ method: 'GET', httpVersionMajor: 1 } as IncomingMessage);
const { signal: ending } = new AbortController();

test('work is stopped for a client who goes, also for one who had gone before it began', () => {
  const raw = answer();
  const { signal } = cancelWith(raw, ending);
  assert.equal(signal.aborted, false);
  raw.emit('close');
  assert.equal(signal.aborted, true);
  const gone = answer();
  gone.destroy();
  assert.match(String(cancelWith(gone, ending).signal.reason), /client went away/);
});

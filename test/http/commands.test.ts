import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandTable } from '../../src/cli/command-table.ts';
import type { Document } from '../../src/http/openapi.ts';

/** What does over HTTP what a command does: operations of the document, or why it is a matter of the machine alone. */
const overHttp: Readonly<Record<string, readonly string[] | string>> = {
  diff: ['startRun', 'getRun', 'listRunDifferences'],
  plan: ['startRun', 'getPlan', 'listPlanItems'],
  apply: ['applyPlan'],
  approve: ['approvePlan', 'getPlan'],
  sync: ['startRun', 'runSync'],
  assess: ['startRun'],
  copy: ['startRun'],
  check: ['check'],
  explain: ['explainRow', 'getHistory'],
  runs: ['listRuns'],
  show: ['getRun', 'getPlan', 'listChanges'],
  revert: ['revertRun'],
  conflicts: ['listConflicts', 'getConflict', 'resolveConflict', 'resolveConflicts'],
  quarantine: ['listQuarantine', 'retryQuarantine', 'dropQuarantine'],
  version: ['getVersion'],
  audit: ['listAudit', 'getAuditHead', 'verifyAudit'],
  token: ['listTokens', 'createToken', 'revokeToken'],
  alerts: ['listAlerts', 'getAlert', 'acknowledgeAlert', 'listSilences', 'addSilence', 'endSilence'],
  backup: ['listBackups', 'getBackup', 'createBackup'],
  init: 'writes the configuration, which is never accepted over the API',
  schema: 'describes the file; the API describes itself at /openapi.json',
  completion: 'is for a shell',
  demo: 'makes databases of its own',
  serve: 'is the API',
  worker: 'is a process',
  stored: 'exchanges a secret of the machine, which never goes over the API',
};

test('whatever a command can do can be done over HTTP', () => {
  const file = join(import.meta.dirname, '../../docs/reference/openapi.json');
  const document = JSON.parse(readFileSync(file, 'utf8')) as Document;
  const known = new Set(Object.values(document.paths).flatMap((m) => Object.values(m).map((o) => o.operationId)));
  for (const { name } of commandTable) {
    const operations = overHttp[name];
    assert.ok(operations, `lockstep ${name} has no counterpart in the API: add one, or say here why not`);
    if (typeof operations !== 'string')
      for (const operation of operations)
        assert.ok(known.has(operation), `${name}: there is no operation ${operation}`);
  }
});

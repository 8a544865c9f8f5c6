import { z } from 'zod';
import { listBackups, type Shelved } from '../../backup/shelf.ts';
import { LockstepError } from '../../model/errors.ts';
import { databasesOf } from '../../service/backups.ts';
import type { Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { Run } from '../shapes/run.ts';
import { Time, timeOf } from '../shapes/time.ts';
import { startRun } from '../start-run.ts';
import { typed } from '../typed.ts';

const Backup = z
  .object({
    id: z.string(),
    database: z.string().nullable().describe('An endpoint, or `control`; null: its manifest cannot be read'),
    made: Time.nullable(),
    server: z.string().nullable(),
    tables: z.number().int().nullable(),
    rows: z.number().int().nullable(),
    bytes: z.number().int().nullable(),
    encrypted: z.boolean().nullable(),
    tool: z.string().nullable().describe('What made it: lockstep, or pg_dump and its version'),
    not_carried: z.array(z.string()).describe('What was there and is not in it'),
    verified: Time.nullable().describe(
      'When it was last restored and compared; null: never, or it was found damaged since',
    ),
    problem: z.string().nullable().describe('What is wrong with it; null: nothing is known'),
  })
  .meta({
    id: 'Backup',
    examples: [
      {
        id: 'b_06dq2k8v4m7x3w9pq',
        database: 'subscriptions',
        made: '2026-11-21T03:00:00.120Z',
        server: 'PostgreSQL 18.4',
        tables: 12,
        rows: 48210,
        bytes: 1320411,
        encrypted: true,
        tool: 'pg_dump 18.4',
        not_carried: [],
        verified: '2026-11-21T03:00:09.410Z',
        problem: null,
      },
    ],
  });

const backupOf = ({ id, manifest: m, verified, problem }: Shelved): z.infer<typeof Backup> => ({
  id,
  database: m?.database ?? null,
  made: m === undefined ? null : timeOf(m.made),
  server: m?.server ?? null,
  tables: m?.tables ?? null,
  rows: m?.rows ?? null,
  bytes: m?.bytes ?? null,
  encrypted: m === undefined ? null : m.encryption !== null,
  tool: m?.tool ?? null,
  not_carried: [...(m?.notCarried ?? [])],
  verified: verified === undefined ? null : timeOf(verified),
  problem: problem ?? null,
});

const Wish = z
  .strictObject({
    database: z.string().min(1).max(200).optional().describe('An endpoint among the backups, or control; absent: all'),
  })
  .nullish()
  .meta({ id: 'BackupRequest', examples: [{ database: 'control' }] });

const params = z.object({
  id: z
    .string()
    .min(1)
    .max(100)
    .describe('Id of the backup')
    .meta({ examples: ['b_06dq2k8v4m7x3w9pq'] }),
});

export const backups: Routes = (app, api) => {
  const routes = typed(app);
  const all = (): Promise<readonly Shelved[]> => {
    const { backups } = api.config();
    return backups === undefined ? Promise.resolve([]) : listBackups(backups.directory);
  };
  routes.get(
    '/api/v1/backups',
    {
      config: { scope: 'backups:read' },
      schema: {
        operationId: 'listBackups',
        summary: 'Backups in the folder of this server, newest first',
        tags: ['backups'],
        response: { 200: z.object({ data: z.array(Backup) }) },
      },
    },
    async () => ({ data: (await all()).map(backupOf) }),
  );
  routes.get(
    '/api/v1/backups/:id',
    {
      config: { scope: 'backups:read', problems: [404] },
      schema: {
        operationId: 'getBackup',
        summary: 'One backup',
        tags: ['backups'],
        params,
        response: { 200: Backup },
      },
    },
    async (request) => {
      const found = (await all()).find((b) => b.id === request.params.id);
      if (found) return backupOf(found);
      throw new LockstepError('NOT_FOUND', `there is no backup ${request.params.id}`);
    },
  );
  routes.post(
    '/api/v1/backups',
    {
      config: { scope: 'backups:create', problems: [404, 422] },
      schema: {
        operationId: 'createBackup',
        summary: 'Make backups, and prove them',
        description: 'Starts a run of kind `backup`: look at it where Location says.',
        tags: ['backups'],
        headers: idempotencyHeaders,
        body: Wish,
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const backup = request.body?.database ?? 'all';
      if (api.config().backups === undefined) throw new LockstepError('NOT_FOUND', 'no backups are configured');
      databasesOf(api.config(), backup);
      const o = cancelOf(request, reply);
      return startRun(api, request, reply, {
        ...o,
        run: { kind: 'backup', backup },
        object: `backups/${backup}`,
        writes: false,
      });
    },
  );
};

import { count } from '../lib/grouped.ts';
import type { Job } from '../service/job.ts';
import { type Migrated, type MigrateInput, migrate } from '../work/migrate.ts';
import type { Synced, SyncInput } from '../work/sync.ts';
import { confirm } from './confirm.ts';
import { type Context, type Flags, tell } from './context.ts';
import { exitCodes } from './exit.ts';
import { certificateText } from './output/certificate-view.ts';
import type { ProgressView } from './progress.ts';

/** `lockstep sync` of a sync with `mode: migrate`. A number: all is said, and that is how it ends; else what caught up. */
export const migrating = async (
  context: Context,
  flags: Flags,
  x: {
    readonly job: Job;
    readonly input: SyncInput;
    readonly format: 'table' | 'json';
    readonly progress: ProgressView;
  },
): Promise<number | Synced> => {
  const { job, progress } = x;
  const { source, target } = x.input.facts;
  const input: MigrateInput = {
    ...x.input,
    excludeTables: job.excludeTables,
    types: job.types,
    version: context.version,
    confirmCopy: async (tables) => {
      if (flags.yes) return true;
      progress.clear();
      return confirm(
        context,
        flags,
        `Copy ${count(tables.length, 'table')} of ${source.description} into ${target.description}? Missing ones are made there.`,
      );
    },
  };
  const done = await migrate(input);
  if (done.phase === 'catch_up') {
    progress.clear();
    await tell(
      context,
      `mode migrate: every table is there, so this run caught up, as upsert does: it deletes nothing`,
    );
    return done;
  }
  progress[Symbol.dispose]();
  if (done.phase === 'declined') {
    await tell(context, 'Declined: nothing was written.');
    return exitCodes.usage;
  }
  await sayCopied(context, x.format, job, done);
  return done.exit;
};

const sayCopied = async (
  context: Context,
  format: 'table' | 'json',
  job: Job,
  done: Extract<Migrated, { phase: 'copy' }>,
): Promise<void> => {
  const { certificate, sync } = done;
  const again = `lockstep sync ${job.sync ?? ''} --yes`;
  if (certificate === undefined || sync === undefined) {
    await tell(context, `${done.interrupted!.message}\n  to go on: ${again}`);
    return;
  }
  if (format === 'json') await context.out.write(`${JSON.stringify(sync, null, 2)}\n`);
  else await certificateText(context.out, certificate);
  await tell(
    context,
    `mode migrate: this run copied ${count(certificate.tables.length, 'table')}. The next ones catch up with what is written meanwhile: ${again}`,
  );
};

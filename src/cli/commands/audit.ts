import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { grouped } from '../../lib/grouped.ts';
import type { AuditHead } from '../../model/audit.ts';
import { errorCodes, LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';
import { openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { auditEntryJson, auditTable } from '../output/audit-view.ts';
import { jsonText } from '../output/json-text.ts';
import { formatOf, numberFlag } from '../read-flags.ts';

const actions = ['list', 'head', 'verify'] as const;
type Action = (typeof actions)[number];

const headOf = (value: unknown): AuditHead | undefined => {
  const { seq, hash, key, mac } = (value ?? {}) as Record<string, unknown>;
  const hex = (text: unknown): text is string => typeof text === 'string' && /^[0-9a-f]{16,64}$/.test(text);
  return Number.isSafeInteger(seq) && (seq as number) >= 0 && hex(hash) && hex(key) && hex(mac)
    ? { seq: seq as number, hash, key, mac }
    : undefined;
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Ends of the log that were kept in a file: what `audit head --format json` wrote, or lines of a server's log. */
const checkpointsOf = (file: string, cwd: string): readonly AuditHead[] => {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), 'utf8');
  } catch (cause) {
    throw new LockstepError('USAGE', `--checkpoint ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const whole = headOf(parsed(text));
  const heads = whole ? [whole] : text.split('\n').flatMap((line) => headOf(parsed(line)) ?? []);
  if (heads.length > 0) return heads;
  throw new LockstepError('USAGE', `--checkpoint ${file} holds no end of an audit log`, {
    hint: 'Give a file that `lockstep audit head --format json` wrote, or a log of lockstep serve.',
  });
};

/** `lockstep audit list|head|verify [OBJECT]` */
export const audit: Command = async (context, [action, object], flags) => {
  if (!actions.includes(action as Action))
    throw new LockstepError('USAGE', `lockstep audit ${action}: expected ${actions.join(', ')}`, {
      hint: 'See lockstep audit --help.',
    });
  const format = formatOf(flags, ['table', 'json'] as const, 'audit');
  const checkpoints = flags.checkpoint === undefined ? [] : checkpointsOf(flags.checkpoint, context.cwd);
  const limit =
    flags.limit === 'all' ? 1_000_000 : flags.limit === undefined ? 50 : numberFlag('--limit', flags.limit, 1);
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const { out } = context;
  if (action === 'list') {
    const entries = await store.audit.list({ limit, ...(object === undefined ? {} : { object }) }, { signal });
    if (format === 'json')
      await out.write(`${jsonText({ schema_version: 1, entries: entries.map(auditEntryJson) })}\n`);
    else await auditTable(out, entries);
    return exitCodes.ok;
  }
  if (action === 'head') {
    const head = await store.audit.head({ signal });
    await out.write(
      format === 'json'
        ? `${jsonText({ schema_version: 1, ...head })}\n`
        : `  entry ${grouped(head.seq)}\n  hash  ${head.hash}\n  key   ${head.key}\n  mac   ${head.mac}\n`,
    );
    return exitCodes.ok;
  }
  const verdict = await store.audit.verify(checkpoints, { signal });
  const good = verdict.problems.length === 0;
  if (format === 'json') {
    const { entries, head, problems } = verdict;
    await out.write(
      `${jsonText({ schema_version: 1, verdict: good ? 'intact' : 'broken', entries, head, checkpoints: verdict.checkpoints, problems })}\n`,
    );
  } else {
    const lines = verdict.problems.map(({ what }) => `  ✗ ${what}`);
    const kept =
      checkpoints.length === 0
        ? '; without --checkpoint, an end that was cut off and signed again by an older end is not seen'
        : `, ${grouped(verdict.checkpoints)} of ${grouped(checkpoints.length)} checkpoints hold`;
    await out.write(
      `${[`  ${good ? '✓ intact' : '✗ not what was written'}: ${grouped(verdict.entries)} entries${kept}`, ...lines].join('\n')}\n`,
    );
  }
  return good ? exitCodes.ok : errorCodes.AUDIT.exit;
};

import type { AuditEntry } from '../../model/audit.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { writeList } from './list.ts';

const utc = (ms: number): string => new Date(ms).toISOString();

export const auditEntryJson = (entry: AuditEntry): Record<string, unknown> => ({ ...entry, at: utc(entry.at) });

export const auditTable = async (out: Out, entries: readonly AuditEntry[]): Promise<void> => {
  if (entries.length === 0) {
    await out.write('  nothing yet\n');
    return;
  }
  const head = ['ENTRY', 'AT', 'WHO', 'DID', 'TO', 'OUTCOME', 'CORRELATION'];
  const rows = entries.map((e) => [
    String(e.seq),
    utc(e.at),
    inert(e.actor),
    inert(e.action),
    inert(e.object).slice(0, 80),
    e.outcome,
    inert(e.correlation),
  ]);
  await writeList(out, head, rows);
};

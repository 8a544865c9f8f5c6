import type { AuditEntry } from '../../model/audit.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { columnsOf } from './text.ts';

const utc = (ms: number): string => new Date(ms).toISOString();

export const auditEntryJson = (entry: AuditEntry): Record<string, unknown> => ({ ...entry, at: utc(entry.at) });

export const auditTable = async (out: Out, entries: readonly AuditEntry[]): Promise<void> => {
  const style = styleOf(out.color);
  if (entries.length === 0) {
    await out.write('  nothing yet\n');
    return;
  }
  const head = ['  ENTRY', 'AT', 'WHO', 'DID', 'TO', 'OUTCOME', 'CORRELATION'];
  const rows = entries.map((e) => [
    `  ${e.seq}`,
    utc(e.at),
    inert(e.actor),
    inert(e.action),
    inert(e.object).slice(0, 80),
    e.outcome,
    inert(e.correlation),
  ]);
  const lines = columnsOf([head, ...rows], () => false);
  await out.write(`${[style.dim(lines[0]!), ...lines.slice(1)].join('\n')}\n`);
};

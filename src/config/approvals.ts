import type { ApprovalRule } from '../model/approval.ts';
import type { WrittenApprovals } from './approvals-schema.ts';
import type { Mode } from './modes.ts';
import type { ReadSection } from './server.ts';

export interface ApprovalSettings {
  readonly rule: ApprovalRule;
  /** How long a plan may wait, milliseconds. */
  readonly expiresMs: number;
}

const day = 86_400_000;
const least = 60_000;

/** What is written, with its defaults. `at`: where it stands below the section that `read` is of. */
export const approvalsOf = (
  written: WrittenApprovals,
  at: readonly PropertyKey[],
  mode: Mode | undefined,
  read: ReadSection,
): ApprovalSettings => {
  // What would be written without being asked for must not look as if it were.
  if (mode === 'two_way' || mode === 'migrate')
    throw read.wrong(at, `mode ${mode} does not wait for approvals`, 'Leave them out, or choose another mode.');
  const { required, above, by, not_author: notAuthor, expires } = written;
  const limit = (key: 'changes' | 'deletes'): number => {
    const value = above?.[key];
    return value === undefined ? Number.MAX_SAFE_INTEGER : read.number(value, [...at, 'above', key], 0);
  };
  if (above !== undefined && above.changes === undefined && above.deletes === undefined)
    throw read.wrong([...at, 'above'], 'says nothing', 'Write above: { changes: 100, deletes: 0 }, or leave it out.');
  const expiresMs = expires === undefined ? day : read.duration(expires, [...at, 'expires']);
  if (expiresMs < least) throw read.wrong([...at, 'expires'], 'expected at least 1m', 'Write for example 24h.');
  const count = required === undefined ? 1 : read.number(required, [...at, 'required'], 1);
  if (by !== undefined && new Set(by).size < count)
    throw read.wrong([...at, 'by'], `names fewer than the ${count} who have to agree`, 'Name more, or require fewer.');
  return {
    rule: {
      required: count,
      above: above === undefined ? null : { changes: limit('changes'), deletes: limit('deletes') },
      by: by === undefined ? null : [...new Set(by)],
      notAuthor: notAuthor === undefined ? true : read.flag(notAuthor, [...at, 'not_author']),
    },
    expiresMs,
  };
};

import type { Reader } from '../model/reader.ts';
import type { PairReport } from '../model/report.ts';
import { keyTypes } from '../model/selection.ts';
import { type Choice, commonHash, tolerant } from './choose.ts';
import type { Sides, Work } from './context.ts';
import { compareDigests } from './digest.ts';
import { drillDown } from './drill-down.ts';
import { hashTypes } from './key-hashes.ts';
import { allTypes, mergeBytes, mergeSides } from './merge-sides.ts';
import { commonSpellings } from './raw-merge.ts';
import { remarksOn } from './remarks.ts';
import type { Form } from './runs.ts';
import { type Confirmation, startConfirmation } from './settle.ts';
import type { Tally } from './tally.ts';

/** How a pair was scanned; its suspected differences wait in `confirmation` (absent: there are none). */
export interface Scanned {
  readonly strategy: PairReport['strategy'];
  readonly why: string;
  readonly confirmation: Confirmation | undefined;
  /** Keys that could not be compared, with examples, for people. */
  readonly remarks: readonly string[];
}

/** Reads both sides once, in the chosen way, and suspects what is unequal. */
export const scan = async (work: Work, readers: Sides<Reader>, choice: Choice, tally: Tally): Promise<Scanned> => {
  const { selections } = work;
  const types = keyTypes(selections.source);
  const notes = remarksOn(work, tally);
  if (choice.path === 'rows') {
    const confirmation = startConfirmation(work, { form: { kind: 'rows' }, types }, tally, tolerant(work));
    const spellings = await commonSpellings(work, readers);
    if (spellings) {
      const read = await mergeBytes(work, readers, spellings, confirmation, tally);
      return { strategy: 'merge', why: `${choice.why}; ${read}`, confirmation, remarks: notes.list() };
    }
    await mergeSides(work, readers, { kind: 'rows' }, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'merge', why: choice.why, confirmation, remarks: notes.list() };
  }
  if (choice.path === 'key_hashes') {
    const form: Form = { kind: 'key_hash', spec: choice.spec };
    const confirmation = startConfirmation(work, { form, types: hashTypes }, tally, choice.soft);
    await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'digest', why: choice.why, confirmation, remarks: notes.list() };
  }
  if (choice.path === 'hashes') {
    const form: Form = { kind: 'hash', spec: choice.spec };
    const confirmation = startConfirmation(work, { form, types }, tally, choice.soft);
    await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'digest', why: choice.why, confirmation, remarks: notes.list() };
  }
  const { confirmation, found } = await drillDown(work, readers, choice, notes, tally);
  return { strategy: 'digest', why: `${choice.why}; ${found}`, confirmation, remarks: notes.list() };
};

/** Without a key: one digest of all rows, and where it differs, distinct rows with their counts. */
export const scanMultiset = async (work: Work, readers: Sides<Reader>, tally: Tally): Promise<Scanned> => {
  const common = commonHash(work, readers);
  if (typeof common !== 'string') {
    const whole = await compareDigests(work, readers, undefined, common.spec);
    if (whole.differing.length === 0) {
      tally.identical = whole.identical;
      return {
        strategy: 'digest',
        why: 'no key: one digest of all rows of each side, equal',
        confirmation: undefined,
        remarks: [],
      };
    }
  }
  const form: Form = { kind: 'multiset' };
  const notes = remarksOn(work, tally);
  const confirmation = startConfirmation(work, { form, types: allTypes(work) }, tally, new Set());
  await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
  return {
    strategy: 'merge',
    why: 'no key: distinct rows and their counts are merged',
    confirmation,
    remarks: notes.list(),
  };
};

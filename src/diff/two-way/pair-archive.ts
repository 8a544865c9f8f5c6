import { createHash } from 'node:crypto';
import type { Archive, Archives } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Pair } from '../../model/pair.ts';
import { type ColumnType, tableLabel } from '../../model/schema.ts';
import { keyTypes, pairSelection } from '../../model/selection.ts';
import { both } from '../concurrent.ts';
import type { Sides } from '../context.ts';
import { type BaseCells, baseCells } from './base-cells.ts';
import { waysOf } from './ways.ts';

/** The archive of a pair, and what of a row is kept in it. */
export interface PairArchive {
  readonly archive: Archive;
  readonly cells: BaseCells;
}

/** What decides how a cell reads as text: a longer text or one more label of an enum does not. */
const typeWord = (type: ColumnType): string => {
  switch (type.kind) {
    case 'text':
      return type.padded ? 'text padded' : 'text';
    case 'json':
      return type.binary ? 'json binary' : 'json';
    case 'float':
      return `float ${type.bits}`;
    case 'opaque':
      return `opaque ${type.native}`;
    default:
      return type.kind;
  }
};

const databasesOf = (endpoints: Sides<Endpoint>): readonly (readonly string[])[] =>
  [endpoints.source, endpoints.target].map(({ fingerprint: { server, database } }) => [server, database]);

const hashed = (what: unknown): string => createHash('sha256').update(JSON.stringify(what)).digest('hex');

/** Stands for where rows are: by this, keys of an archive are known that was made of other columns. */
const placeOf = (pair: Pair, endpoints: Sides<Endpoint>): string =>
  hashed({
    databases: databasesOf(endpoints),
    tables: [tableLabel(pair.source), tableLabel(pair.target)],
    key: pair.columns.slice(0, pair.keyWidth).map((c) => [c.source.name, c.target.name, typeWord(c.as)]),
  });

/** Stands for all that decides what a row of the archive means. How rows are hashed is no part of it: see `HashWay`. */
const settingsOf = (pair: Pair, endpoints: Sides<Endpoint>): string => {
  const what = {
    version: 1,
    databases: databasesOf(endpoints),
    tables: [tableLabel(pair.source), tableLabel(pair.target)],
    keyWidth: pair.keyWidth,
    columns: pair.columns.map((c) => [c.source.name, c.target.name, typeWord(c.as), c.tolerance ?? null]),
    transform: pair.transform?.signature ?? null,
  };
  return hashed(what);
};

/** A two-way pair needs a key: throws KEY_MISSING. */
const needKey = (pair: Pair): void => {
  if (pair.keyWidth > 0) return;
  throw new LockstepError('KEY_MISSING', `${pair.name} has no key, so nothing can be kept of what its rows were`, {
    hint: 'Name columns that are unique and never NULL on both sides (`key:` of the pair), or exclude the table.',
  });
};

/**
 * The archive of a pair; begun where there is none under these settings. `kept`: which base values are kept, by column.
 * `secret`: of the store, for hashes of values that are not.
 */
export const openPairArchive = async (
  o: Cancel & {
    readonly archives: Archives;
    readonly sync: string;
    readonly pair: Pair;
    readonly endpoints: Sides<Endpoint>;
    readonly kept: (column: number) => 'value' | 'hash';
    readonly secret: Uint8Array;
  },
): Promise<PairArchive> => {
  const { pair, endpoints, signal } = o;
  needKey(pair);
  const types = keyTypes(pairSelection(pair, 'source'));
  const [source, target] = await both(
    signal,
    (s) => endpoints.source.snapshot({ signal: s }),
    (s) => endpoints.target.snapshot({ signal: s }),
  );
  await using _source = source;
  await using _target = target;
  const archive = await o.archives.open(
    {
      sync: o.sync,
      pair: pair.name,
      settings: settingsOf(pair, endpoints),
      place: placeOf(pair, endpoints),
      integerKey: types.length === 1 && types[0]!.kind === 'int',
      keyTypes: types,
      form: waysOf(pair, { source, target }).form,
    },
    { signal },
  );
  return { archive, cells: baseCells(pair, o.kept, o.secret) };
};

/** The archive of a pair, where there is one under these settings; none is begun. */
export const findPairArchive = async (
  o: Cancel & {
    readonly archives: Archives;
    readonly sync: string;
    readonly pair: Pair;
    readonly endpoints: Sides<Endpoint>;
  },
): Promise<Archive | undefined> => {
  const { pair, signal, sync } = o;
  const settings = settingsOf(pair, o.endpoints);
  const known = await o.archives.list({ sync, pair: pair.name }, { signal });
  const facts = known.find((f) => f.settings === settings);
  if (facts === undefined) return undefined;
  const { integerKey, hash } = facts;
  const key = { integerKey, keyTypes: keyTypes(pairSelection(pair, 'source')), form: hash.form };
  return o.archives.open({ sync, pair: pair.name, settings, ...key }, { signal });
};

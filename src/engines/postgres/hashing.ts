import { LockstepError } from '../../model/errors.ts';
import type { HashBatch, Hashing, LooseBatch } from '../../model/reader.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { int64Hashes, keyHashes, looseHashes } from './copy-rows.ts';
import { bucketSql, hashSupport, rowHashSql } from './hash-sql.ts';
import type { HashingContext } from './hashing-context.ts';
import { byKeyHash } from './key-hashes.ts';
import { orderSql } from './key-sql.ts';
import { render } from './render.ts';
import { baseSql, rangePartSql, segmentSql } from './select.ts';
import { grouping, partSql, textHashing, withoutHash } from './text-digests.ts';

const batchRows = 8192;

/** Row hashes made in the database. */
export const hashingOf = (x: HashingContext): Hashing => {
  const { session } = x;
  const side = session.context.name;

  const check = (columns: readonly ColumnSql[], selection: Selection): void => {
    const unhashable = columns.find((c) => hashSupport(c.column) === undefined);
    if (unhashable)
      throw new LockstepError(
        'INTERNAL',
        `${side}: ${tableLabel(selection.table)}.${unhashable.column.name} cannot be hashed in the database as ${unhashable.column.as.kind}`,
        { side },
      );
  };

  return {
    forms: x.forms,
    supports: hashSupport,
    // sent in the client's encoding, which is UTF-8 wherever a server hashes at all
    ...(x.forms.includes('bytes') ? { sendsJson: true } : {}),
    digest: async (selection, partition, hash, o) => {
      const columns = await x.columnsOf(selection, o);
      check(columns, selection);
      const keys = columns.slice(0, selection.keyWidth);
      const part =
        partition === undefined
          ? `'0'::pg_catalog.int8`
          : partition.by === 'range'
            ? rangePartSql(keys[0]!.value, partition)
            : bucketSql(keys, partition.hash, partition.count);
      const h = rowHashSql(columns, hash);
      // avg shares its state with sum, so that it costs nothing, and leaves out a row without hash, which then shows;
      // count(h) would compute every hash a second time
      const complete = `pg_catalog.avg(${h}) is not distinct from pg_catalog.sum(${h}) / nullif(pg_catalog.count(*), 0)`;
      const sql = `${partSql(part, h, complete)} from ${baseSql(selection, columns)}`;
      const digests = await grouping(x, sql, selection, partition !== undefined, o);
      if (digests === undefined) throw withoutHash(selection, side);
      return digests;
    },
    hashes: (selection, segment, hash, o) => {
      const run = async function* (): AsyncGenerator<HashBatch, void, undefined> {
        const columns = await x.columnsOf(selection, o);
        check(columns, selection);
        const keys = columns.slice(0, selection.keyWidth);
        const unsorted = keys.find((c) => orderSql(c) === undefined);
        if (keys.length === 0 || unsorted) {
          throw new LockstepError(
            'KEY_TYPES',
            `${side}: ${tableLabel(selection.table)} has no key that the database can put in order`,
            { side, hint: 'Choose another key (--key).' },
          );
        }
        const isInt64 = keys.length === 1 && keys[0]!.column.as.kind === 'int' && keys[0]!.column.stored.kind === 'int';
        const rendered = keys.map(render);
        const outputs = isInt64 ? [`${keys[0]!.raw}::pg_catalog.int8`] : rendered.map((r) => r.sql);
        const query = segmentSql(selection, columns, segment, [...outputs, rowHashSql(columns, hash)], {
          ordered: true,
        });
        if (query.empty) return;
        const sink = isInt64
          ? int64Hashes(batchRows)
          : keyHashes(
              rendered.map((r) => r.decode),
              batchRows,
            );
        const at = x.statement(selection, 'hashing', o);
        yield* x.paced(session.copy(`copy (${query.sql}) to stdout (format binary)`, sink, at), (b) => b.count, at);
      };
      return run();
    },
    loose: (selection, segment, hash, o) => {
      const run = async function* (): AsyncGenerator<LooseBatch, void, undefined> {
        const columns = await x.columnsOf(selection, o);
        check(columns, selection);
        const rendered = columns.slice(0, selection.keyWidth).map(render);
        const outputs = [...rendered.map((r) => r.sql), rowHashSql(columns, hash)];
        const query = segmentSql(selection, columns, segment, outputs, { ordered: false });
        if (query.empty) return;
        const sink = looseHashes(
          rendered.map((r) => r.decode),
          batchRows,
        );
        const at = x.statement(selection, 'hashing', o);
        yield* x.paced(session.copy(`copy (${query.sql}) to stdout (format binary)`, sink, at), (b) => b.count, at);
      };
      return run();
    },
    byKeyHash: (selection, segment, hash, o) => {
      const run = async function* (): AsyncGenerator<HashBatch, void, undefined> {
        const columns = await x.columnsOf(selection, o);
        check(columns, selection);
        yield* byKeyHash(x, selection, columns, segment, hash, o);
      };
      return run();
    },
    texts: textHashing(x),
  };
};

import type { IndexDefinition, OtherPart, TableDetails } from '../model/build.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { BulkRows, Reader } from '../model/reader.ts';
import { type ForeignKey, type Table, type TableName, tableLabel } from '../model/schema.ts';
import type { Selection } from '../model/selected.ts';
import type { PairTransform } from '../model/transform.ts';

/** What becomes of a source table that is copied as its pair says. */
export interface Shape {
  /** The table as its source has it; where it is transformed, as it is afterwards. */
  readonly read: Table;
  /** Column of the target -> column of `read`, of all that are copied. */
  readonly columns: ReadonlyMap<string, string>;
  /** Columns of the target that are made of others. */
  readonly made: ReadonlySet<string>;
  readonly transform?: PairTransform;
  /** Only rows that meet it, in SQL of the source. */
  readonly filter?: string;
  /** Columns of the source that identify a row, where its table has no key to read it by. */
  readonly key: readonly string[];
}

/** A shape's columns by what `read` calls them. */
const renames = (shape: Shape): ReadonlyMap<string, string> =>
  new Map([...shape.columns].map(([to, from]) => [from, to] as const));

/** Every column is there, under its own name, as it is stored. */
const isPlain = ({ read, columns, made }: Shape): boolean =>
  made.size === 0 && columns.size === read.columns.length && [...columns].every(([to, from]) => to === from);

const all = <T>(found: readonly (T | undefined)[]): readonly T[] | undefined =>
  found.includes(undefined) ? undefined : (found as readonly T[]);

/** The table with the names and columns that the target gets; rows are read by the shape. */
export const shapedTable = (shape: Shape, others: ReadonlyMap<string, Shape>): Table => {
  const { read } = shape;
  const to = renames(shape);
  const named = (columns: readonly string[]) => all(columns.map((c) => to.get(c)));
  const uniques = read.uniques.flatMap((u) => {
    const columns = named(u.columns);
    return columns === undefined ? [] : [{ ...u, columns }];
  });
  const key = named(shape.key);
  const needsKey = shape.transform !== undefined && !uniques.some((u) => u.total) && key?.length;
  const foreignKeys = read.foreignKeys.flatMap((k): ForeignKey[] => {
    const columns = named(k.columns);
    const parent = others.get(tableLabel({ ...schemaOf(read), ...k.references }));
    const theirs = parent === undefined ? undefined : renames(parent);
    const referencedColumns = theirs ? all(k.referencedColumns.map((c) => theirs.get(c))) : k.referencedColumns;
    return columns === undefined || referencedColumns === undefined ? [] : [{ ...k, columns, referencedColumns }];
  });
  const byName = new Map(read.columns.map((c) => [c.name, c]));
  return {
    ...read,
    columns: [...shape.columns].map(([name, from]) => ({ ...byName.get(from)!, name })),
    uniques: needsKey ? [...uniques, { name: 'key', columns: key!, total: true, primary: false }] : uniques,
    foreignKeys,
    indexes: read.indexes.flatMap((columns) => {
      const mine = named(columns);
      return mine === undefined ? [] : [mine];
    }),
  };
};

const schemaOf = ({ schema }: Table): Partial<TableName> => (schema === undefined ? {} : { schema });

/** What cannot be made again of a table whose columns have other names or values: it is told as not carried over. */
const shapedDetails = (shape: Shape, details: TableDetails): TableDetails => {
  const to = renames(shape);
  const plain = isPlain(shape);
  // what is written in SQL names columns of the source
  const columns = [...shape.columns].flatMap(([name, from]) => {
    const own = details.columns.get(from);
    if (own === undefined || shape.made.has(name)) return [];
    const { expression: _, ...words } = own;
    return [[name, plain ? own : words] as const];
  });
  const indexes: IndexDefinition[] = [];
  const others: OtherPart[] = details.others.map((other) => {
    if (plain || other.again === undefined) return other;
    const { again: _, ...told } = other;
    return { ...told, reason: 'it names columns as the source has them' };
  });
  for (const i of details.indexes) {
    const named = all(i.columns.map((c) => to.get(c)));
    if (named !== undefined) indexes.push({ ...i, columns: named });
    else others.push({ kind: 'index', name: i.name, reason: 'a column of it is not copied' });
  }
  return { columns: new Map(columns), indexes, others };
};

/** A source whose tables have the shapes that a copy gives them. By label of the source table; others are as they are. */
export const shapedSource = (
  source: Endpoint,
  target: Endpoint | undefined,
  shapes: ReadonlyMap<string, Shape>,
): Endpoint => {
  const storedTable = (table: Table): Table =>
    shapes.get(tableLabel(table))?.transform?.raw ?? shapes.get(tableLabel(table))?.read ?? table;
  const inspect: Endpoint['inspect'] = async (o) => {
    const schema = await source.inspect(o);
    const shaped = (t: Table): Table => {
      const shape = shapes.get(tableLabel(t));
      return shape === undefined ? t : shapedTable(shape, shapes);
    };
    return { ...schema, tables: schema.tables.map(shaped) };
  };
  const { details, examine } = source;
  return {
    name: source.name,
    engine: source.engine,
    version: source.version,
    fingerprint: source.fingerprint,
    ...(source.standIn === undefined ? {} : { standIn: source.standIn }),
    inspect,
    ...(details && {
      details: async (o) => {
        const found = await details.call(source, { ...o, tables: o.tables.map(storedTable) });
        return found.map((d, i) => {
          const shape = shapes.get(tableLabel(o.tables[i]!));
          return shape === undefined ? d : shapedDetails(shape, d);
        });
      },
    }),
    ...(examine && { examine: (o) => examine.call(source, { ...o, tables: o.tables.map(storedTable) }) }),
    snapshot: async (o) => shapedReader(await source.snapshot(o), { source, target: target ?? source, shapes }),
    [Symbol.asyncDispose]: async () => {},
  };
};

interface Shaping {
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** Selects what `read` has under the names of the target. */
const stored = (shape: Shape, selection: Selection): Selection => {
  const { read, columns, filter } = shape;
  return {
    ...selection,
    table: { ...selection.table, ...(read.only ? { only: true as const } : {}) },
    columns: selection.columns.map((c) => ({ ...c, name: columns.get(c.name)! })),
    ...(filter === undefined ? {} : { filter }),
  };
};

const shapedReader = (inner: Reader, x: Shaping): Reader => {
  const made = new Map<Shape, Reader>();
  const selections = new WeakMap<Selection, Selection>();
  const shapeOf = (selection: Selection): Shape | undefined => x.shapes.get(tableLabel(selection.table));
  const readerFor = (shape: Shape | undefined): Reader => {
    if (shape?.transform === undefined) return inner;
    const reader = made.get(shape) ?? shape.transform.over(inner, x.source, x.target);
    made.set(shape, reader);
    return reader;
  };
  const found = (selection: Selection): readonly [Reader, Selection] => {
    const shape = shapeOf(selection);
    if (shape === undefined) return [inner, selection];
    const known = selections.get(selection) ?? stored(shape, selection);
    selections.set(selection, known);
    return [readerFor(shape), known];
  };
  const { bulk, share, position } = inner;
  const bulkRows: BulkRows | undefined = bulk && {
    forms: async (selection, o) => {
      const [reader, own] = found(selection);
      return reader === inner ? bulk.forms(own, o) : [];
    },
    read: (selection, segment, form, o) => bulk.read(found(selection)[1], segment, form, o),
  };
  return {
    ...(position === undefined ? {} : { position }),
    scan: (selection, segment, o) => {
      const [reader, own] = found(selection);
      return reader.scan(own, segment, o);
    },
    count: (selection, o) => {
      const [reader, own] = found(selection);
      return reader.count(own, o);
    },
    sample: (selection, rows, o) => {
      const [reader, own] = found(selection);
      return reader.sample(own, rows, o);
    },
    keyBounds: (selection, o) => {
      const [reader, own] = found(selection);
      return reader.keyBounds(own, o);
    },
    ranges: async (selection, o) => {
      const [reader, own] = found(selection);
      return (await reader.ranges?.(own, o)) ?? false;
    },
    ...(bulkRows === undefined ? {} : { bulk: bulkRows }),
    ...(share && { share: async (o: Cancel) => shapedReader(await share.call(inner, o), x) }),
    [Symbol.asyncDispose]: async () => {
      for (const reader of made.values()) await reader[Symbol.asyncDispose]();
      await inner[Symbol.asyncDispose]();
    },
  };
};

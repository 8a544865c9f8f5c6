import { closest } from '../lib/suggest.ts';
import type { WrittenRecord } from './records-schema.ts';

/** Values that a row filter compares with: the caller's, or its own. */
export type FilterValue = { readonly claim: string } | { readonly text: string };

/** `in`: the claim is a list, or one value. */
export interface FilterTerm {
  readonly column: string;
  readonly op: '=' | '<>' | 'in';
  readonly value: FilterValue;
}

/** Undefined where the default holds: as the endpoint is. */
export type Writing = boolean | { readonly columns: readonly string[] };

/** A table as the API's records. */
export interface RecordEntity {
  readonly name: string;
  readonly endpoint: string;
  readonly table: string;
  /** Undefined: the primary key. */
  readonly key: readonly string[] | undefined;
  readonly columns: readonly string[] | undefined;
  readonly filters: readonly string[] | undefined;
  readonly sort: readonly string[] | undefined;
  readonly maxPage: number;
  readonly create: Writing | undefined;
  readonly update: Writing | undefined;
  /** Column: value: values that may follow. */
  readonly transitions: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly delete: boolean | undefined;
  /** Column: the scope that sees it. */
  readonly masks: Readonly<Record<string, string>>;
  /** All must hold. */
  readonly rowFilter: readonly FilterTerm[];
  readonly aliases: readonly string[];
  /** Are answers kept? A number: so many milliseconds at most; true: as long as `cache` says. */
  readonly cache: boolean | number;
  /** A column, or undefined: the content of the row. */
  readonly version: string | undefined;
  readonly line: number | undefined;
}

/** The endpoint that records are on which name none. */
export const defaultEndpoint = 'database';

/** A mistake in a row filter, for its place in the file. */
export class WrongFilter extends Error {}

const term =
  /^\s*(?:"((?:[^"]|"")+)"|([A-Za-z_]\w*))\s*(=|<>|in\b)\s*(?:\$\{principal\.([A-Za-z_][\w.:/-]*)\}|'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)|(true|false)\b)\s*/i;

/** The conditions of `tenant_id = ${principal.tenant} and status <> 'draft'`. */
export const rowFilterOf = (written: string): readonly FilterTerm[] => {
  const terms: FilterTerm[] = [];
  let rest = written;
  for (;;) {
    const m = term.exec(rest);
    if (!m)
      throw new WrongFilter(
        `it cannot be read from \`${rest.trim().slice(0, 40)}\` on: expected conditions such as tenant_id = \${principal.tenant}, joined by and`,
      );
    const [all, quoted, bare, op, claim, text, number, flag] = m;
    const value =
      claim === undefined ? { text: text?.replaceAll("''", "'") ?? number ?? flag!.toLowerCase() } : { claim };
    terms.push({ column: quoted?.replaceAll('""', '"') ?? bare!, op: op!.toLowerCase() as FilterTerm['op'], value });
    rest = rest.slice(all.length);
    if (rest === '') return terms;
    const and = /^and\s/i.exec(rest);
    if (!and) throw new WrongFilter(`expected \`and\` before \`${rest.slice(0, 40)}\``);
    rest = rest.slice(and[0].length);
  }
};

const writingOf = (written: boolean | { columns?: string[] | undefined } | undefined): Writing | undefined =>
  typeof written === 'object' ? (written.columns === undefined ? true : { columns: written.columns }) : written;

/** Does the entry itself say that it is written? */
const writes = (r: WrittenRecord): boolean =>
  [r.create, r.update, r.delete].some((w) => w === true || typeof w === 'object');

/** The endpoint that is there without being written: `DATABASE_URL`, and whether it may be written. */
export const implicitEndpoint = (
  records: Readonly<Record<string, WrittenRecord>> | undefined,
  endpoints: readonly string[],
): { readonly url: string; readonly writable: boolean } | undefined => {
  const own = Object.values(records ?? {}).filter((r) => r.endpoint === undefined);
  if (own.length === 0 || endpoints.includes(defaultEndpoint)) return undefined;
  return { url: '${env:DATABASE_URL}', writable: own.some(writes) };
};

/** What is written of one entity, with its defaults. `wrong` makes the error at a place of its own. */
export const recordOf = (
  name: string,
  r: WrittenRecord,
  endpoints: readonly string[],
  line: number | undefined,
  /** What holds where the entity does not say it. */
  cached: boolean,
  duration: (text: string) => number,
  wrong: (key: keyof WrittenRecord, what: string, o?: { note?: string | undefined; hint?: string }) => Error,
): RecordEntity => {
  const endpoint = r.endpoint ?? defaultEndpoint;
  if (!endpoints.includes(endpoint)) {
    const meant = closest(endpoint, endpoints);
    throw wrong('endpoint', `there is no endpoint \`${endpoint}\``, {
      note: meant === undefined ? undefined : `did you mean ${meant}?`,
      hint: `Endpoints: ${endpoints.join(', ') || 'none'}.`,
    });
  }
  const masks = Object.fromEntries(Object.entries(r.mask ?? {}).map(([column, { unless }]) => [column, unless]));
  const key = typeof r.key === 'string' ? [r.key] : r.key;
  const hidden = key?.find((column) => Object.hasOwn(masks, column));
  if (hidden !== undefined)
    throw wrong('mask', `${hidden} is of the key, and a key is in every URL: it cannot be masked`);
  const version = r.etag === undefined || r.etag === 'content' ? undefined : r.etag;
  if (version !== undefined && Object.hasOwn(masks, version))
    throw wrong('etag', `${version} is masked, and an ETag is shown to everybody`);
  let rowFilter: readonly FilterTerm[] = [];
  try {
    rowFilter = r.row_filter === undefined ? [] : rowFilterOf(r.row_filter);
  } catch (error) {
    if (error instanceof WrongFilter) throw wrong('row_filter', error.message);
    throw error;
  }
  return {
    name,
    endpoint,
    table: r.table,
    key,
    columns: r.read?.columns,
    filters: r.read?.filters,
    sort: r.read?.sort,
    maxPage: r.read?.max_page ?? 200,
    create: writingOf(r.create),
    update: writingOf(r.update),
    transitions: (typeof r.update === 'object' ? r.update.transitions : undefined) ?? {},
    delete: r.delete,
    masks,
    rowFilter,
    aliases: r.aliases ?? [],
    cache: typeof r.cache === 'string' ? duration(r.cache) : (r.cache ?? cached),
    version,
    line,
  };
};

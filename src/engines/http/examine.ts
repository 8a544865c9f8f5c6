import { isIP } from 'node:net';
import type { Cancel } from '../../model/cancel.ts';
import type { Finding } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell } from '../../model/row.ts';
import { finding } from '../sql/finding.ts';
import type { HttpConfig } from './config.ts';
import type { Reading } from './enumerate.ts';
import { lookUp } from './items.ts';
import { isObject, type Json } from './json.ts';
import { valueAt } from './pointer.ts';
import type { Shape } from './shape.ts';
import { cellOf } from './values.ts';

const isLocal = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));

/** What holds for the whole API. */
export const examineWhole = ({ base, auth }: HttpConfig): readonly Finding[] =>
  base.protocol === 'http:' && !isLocal(base.hostname)
    ? [
        {
          level: 'warning',
          code: 'plaintext',
          message: `${base.host} is talked to without TLS${auth === undefined ? '' : ', and the login with it'}`,
          fix: 'Write https:// if the API has it.',
        },
      ]
    : [];

/** Fields of a sample that no column reads. */
const unread = (shape: Shape, sample: readonly Json[]): readonly string[] => {
  const read = new Set(shape.columns.map((c) => c.field[0]));
  const names = new Set(sample.filter(isObject).flatMap((item) => Object.keys(item)));
  return [...names].filter((name) => !read.has(name));
};

/** A failure as the doctor tells it; what is no message of ours is thrown on. */
export const failureFinding = (error: unknown): Finding => {
  if (!(error instanceof LockstepError) || error.code === 'ABORTED') throw error;
  return finding('error', error.code.toLowerCase(), error.message, error.hint);
};

/** Does the address of one item show what the list shows? Comparisons are confirmed there. */
const examineItem = async (
  r: Reading,
  shape: Shape,
  sample: readonly Json[],
  o: Cancel,
): Promise<readonly Finding[]> => {
  const { name } = shape.table;
  const [item] = sample;
  if (item === undefined || shape.key.length === 0) return [];
  const cells = (from: Json): Map<string, Cell> =>
    new Map(shape.columns.map((c) => [c.name, cellOf(c, valueAt(from, c.field))]));
  const known = cells(item);
  const key = new Map(shape.key.map((c) => [c.name, known.get(c.name)!]));
  const found = await lookUp(r, shape, known, key, o);
  if (found === 'unknown') return [];
  if (found[0] === undefined)
    return [
      finding(
        'error',
        'item_missing',
        `${name}: the first item of the list is not found at the address of single items`,
        'Check `read` (or `find`) of the resource: differences are confirmed there.',
      ),
    ];
  const now = cells(found[0].item);
  const other = shape.columns.filter((c) => known.get(c.name) !== now.get(c.name)).map((c) => c.name);
  if (other.length > 0)
    return [
      finding(
        'error',
        'item_differs',
        `${name}: a single item shows something else than the list in ${other.slice(0, 5).join(', ')}`,
        'Both must show the same fields: read them where both have them, or leave `read` out.',
      ),
    ];
  const etag = shape.resource.read === undefined || found[0].etag?.startsWith('"') === true;
  return [
    finding('ok', 'item', `${name}: a single item shows what the list shows`),
    ...(etag
      ? []
      : [
          finding(
            'advice',
            'etag',
            `${name}: items have no strong ETag: a write within the moment between reading an item and writing it is not seen`,
          ),
        ]),
  ];
};

/** How a resource is declared, and what its first page shows. */
export const examineResource = async (
  r: Reading,
  shape: Shape,
  sample: readonly Json[],
  o: Cancel & { readonly writable: boolean },
): Promise<readonly Finding[]> => {
  const { resource, columns, key } = shape;
  const { name, list } = resource;
  const found: Finding[] = [finding('ok', 'list', `${name}: the first page has ${sample.length} items`)];
  if (shape.inferred)
    found.push(
      finding(
        'advice',
        'inferred',
        `${name}: its ${columns.length} columns are inferred from the first page`,
        `Declare them: columns: { ${columns.map((c) => `${c.name}: ${c.native}`).join(', ')} }`,
      ),
    );
  const rest = shape.inferred ? [] : unread(shape, sample);
  if (rest.length > 0)
    found.push(
      finding(
        'advice',
        'unread_fields',
        `${name}: no column reads ${rest.slice(0, 8).join(', ')}${rest.length > 8 ? ', …' : ''}: not compared`,
      ),
    );
  if (key.length === 0)
    found.push(
      finding(
        'warning',
        'no_key',
        `${name}: no key, so an item that comes twice is not noticed and nothing can be written`,
        'Declare `key` of the resource.',
      ),
    );
  const canRead = resource.read !== undefined || resource.find !== undefined;
  if (!canRead)
    found.push(
      finding(
        'advice',
        'no_read',
        `${name}: single items cannot be asked for: each confirmation reads the whole list`,
        'Declare `read` or `find` of the resource.',
      ),
    );
  if (
    (list.paging.by === 'page' || list.paging.by === 'offset') &&
    list.total === undefined &&
    list.totalHeader === undefined
  )
    found.push(
      finding(
        'warning',
        'pages_shift',
        `${name}: pages by number move when items are added or deleted while they are read, and no total tells`,
        'Declare `total` of the list, or page by cursor if the API can.',
      ),
    );
  if (o.writable)
    for (const what of ['create', 'update', 'remove'] as const)
      if (resource[what] === undefined)
        found.push(
          finding(
            'advice',
            'no_route',
            `${name}: \`${what === 'remove' ? 'delete' : what}\` is not declared: such changes are refused`,
          ),
        );
  try {
    found.push(...(await examineItem(r, shape, sample, o)));
  } catch (error) {
    found.push(failureFinding(error));
  }
  return found;
};

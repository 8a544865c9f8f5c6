import { LockstepError } from '../model/errors.ts';
import type { Cell, Key } from '../model/row.ts';
import type { Entity } from './entity.ts';
import { readFilter } from './json.ts';

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

export const noRecord = (entity: string, shown: string): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no record ${shown.slice(0, 200)} of ${entity}`);

/** The key of a path's last segment as it came: `17`, or `17,2` for two columns. NOT_FOUND for what no key can be. */
export const readKey = (entity: Entity, segment: string): Key => {
  const parts = entity.key.length === 1 ? [segment] : segment.split(',');
  const cells = entity.key.map((field, i) => {
    const text = parts[i] === undefined ? undefined : decoded(parts[i]);
    return text === undefined ? undefined : readFilter(field.column.type, text);
  });
  if (parts.length !== entity.key.length || cells.includes(undefined))
    throw noRecord(entity.config.name, decoded(segment) ?? segment);
  return cells as unknown as Key;
};

/** A key as it is in JSON, without quotes. */
const plain = (json: string): string => (json.startsWith('"') ? (JSON.parse(json) as string) : json);

/** The segment of a path that `readKey` reads. */
export const keySegment = (entity: Entity, key: readonly Cell[]): string =>
  entity.key.map((field, i) => encodeURIComponent(plain(field.json(key[i] ?? null)))).join(',');

import type { JsonValue } from '../model/json.ts';

/**
 * A record of ours as the API spells its fields: `maxChanges` as `max_changes`, at every depth. Not for records whose
 * keys are names of users (columns, tables): those would be respelled as well.
 */
export const snakeKeys = (value: JsonValue): JsonValue => {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, of]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      of === undefined ? of : snakeKeys(of),
    ]),
  );
};

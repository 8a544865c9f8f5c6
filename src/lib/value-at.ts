/** What lies at this path of parsed YAML or JSON; undefined where something on the way is no object. */
export const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown => {
  let at = value;
  for (const step of path)
    at = at === null || typeof at !== 'object' ? undefined : (at as Record<PropertyKey, unknown>)[step];
  return at;
};

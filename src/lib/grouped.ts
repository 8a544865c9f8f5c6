/** `1284207` as `1,284,207`. Not by Intl, whose tables take longer to load than a small comparison takes. */
export const grouped = (n: number): string => String(n).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');

/** `1 row`, `1,284,207 rows`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${grouped(n)} ${n === 1 ? one : many}`;

/** `1284207` as `1,284,207`. Not by Intl, whose tables take longer to load than a small comparison takes. */
export const grouped = (n: number): string => String(n).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');

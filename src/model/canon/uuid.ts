import { hexFromBytes } from './bytes.ts';

const canonicalForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const accepted = /^(\{?)[0-9a-f]{4}(?:-?[0-9a-f]{4}){7}(\}?)$/;

const grouped = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;

/** Lower-case 8-4-4-4-12; braces, capitals and missing hyphens are read as PostgreSQL reads them; else undefined. */
export const uuidText = (raw: string): string | undefined => {
  if (canonicalForm.test(raw)) return raw;
  if (raw.length > 41) return undefined;
  const lower = raw.toLowerCase();
  const m = accepted.exec(lower);
  if (m === null || (m[1] === '') !== (m[2] === '')) return undefined;
  return grouped(lower.replace(/[{}-]/g, ''));
};

/** The text of a uuid kept as 16 bytes; undefined for any other length. */
export const uuidFromBytes = (bytes: Uint8Array): string | undefined =>
  bytes.length === 16 ? grouped(hexFromBytes(bytes)) : undefined;

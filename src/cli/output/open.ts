import type { Out } from '../io.ts';
import { csvOutput } from './csv.ts';
import type { DiffOutput, Format } from './diff-output.ts';
import { htmlOutput } from './html.ts';
import { jsonlOutput, jsonOutput } from './json.ts';
import { markdownOutput } from './markdown.ts';
import { sqlOutput } from './sql.ts';
import { tableOutput } from './table.ts';

/** The writer of a format. Names are the endpoints' own. */
export const openDiffOutput = (
  format: Format,
  out: Out,
  o: { readonly source: string; readonly target: string; readonly sync: string | null },
): DiffOutput => {
  const writers: Readonly<Record<Format, () => DiffOutput>> = {
    table: () => tableOutput(out, o),
    json: () => jsonOutput(out),
    jsonl: () => jsonlOutput(out),
    csv: () => csvOutput(out),
    html: () => htmlOutput(out),
    sql: () => sqlOutput(out),
    markdown: () => markdownOutput(out),
  };
  return writers[format]();
};

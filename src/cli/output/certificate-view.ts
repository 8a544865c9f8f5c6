import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import type { Certificate } from '../../work/certificate.ts';
import type { Out } from '../io.ts';
import { duration } from './text.ts';

/** The first line claims no more than is so: what was not carried over is counted in it. */
const headline = ({ verdict, not_carried }: Certificate): string => {
  const n = not_carried.length;
  switch (verdict) {
    case 'certified':
      return n === 0
        ? 'CERTIFIED: every row of these tables and every part of their schema was compared and agrees.'
        : `CERTIFIED: every row agrees, and every part of the schema that was carried over. ${n === 1 ? '1 part was' : `${grouped(n)} parts were`} NOT carried over, see below.`;
    case 'incomplete':
      return 'INCOMPLETE: no difference was found, but not everything could be compared.';
    case 'differs':
      return 'NOT CERTIFIED: the target is not what the source is.';
  }
};

const table = (t: Certificate['tables'][number]): string => {
  const parts = [
    `${count(t.rows.source, 'row')}, ${grouped(t.identical)} identical`,
    ...(t.different + t.only_in_source + t.only_in_target > 0
      ? [
          `${grouped(t.different)} different, ${grouped(t.only_in_source)} missing, ${grouped(t.only_in_target)} only in the target`,
        ]
      : []),
    ...(t.refused > 0 ? [`${grouped(t.refused)} refused`] : []),
    ...(t.in_flight > 0 ? [`${grouped(t.in_flight)} in flight`] : []),
    ...(t.digest === null ? [] : [`digest ${t.digest.sum.target}`]),
    `loaded as ${t.loaded.as} in ${duration(t.loaded.elapsed_ms)}`,
  ];
  const to = t.target === t.source ? '' : ` -> ${visibleText(t.target)}`;
  return `  ${visibleText(t.source)}${to}: ${parts.join(' · ')}`;
};

/** A refused value may be long or odd: the reason is already cut and neutralised. */
export const keyText = (key: Readonly<Record<string, string | null>>): string =>
  Object.entries(key)
    .map(([name, cell]) => `${visibleText(name)}=${cell === null ? 'NULL' : visibleText(cell)}`)
    .join(' ');

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', title, ...lines];

/** What does not go along: views in one line, everything else one by one. */
export const notCarriedLines = (all: Certificate['not_carried']): readonly string[] => {
  const views = all.filter((n) => n.kind === 'view');
  const names = views.map((v) => visibleText(v.name)).join(', ');
  return [
    ...(views.length === 0 ? [] : [`  ${views.length === 1 ? 'view' : `${views.length} views:`} ${names}`]),
    ...all
      .filter((n) => n.kind !== 'view')
      .map(
        (n) =>
          `  ${n.kind} ${visibleText(n.name)}${n.table === n.name ? '' : ` of ${visibleText(n.table)}`}: ${n.reason}${n.definition === undefined ? '' : `\n    ${visibleText(n.definition)}`}`,
      ),
  ];
};

/** The certificate for people. */
export const certificateText = async (out: Out, c: Certificate): Promise<void> => {
  const lines = [
    headline(c),
    `run ${c.run} · Lockstep ${c.lockstep} · ${c.started} to ${c.finished}`,
    `source ${c.source.name}: ${c.source.version}, ${c.source.description}`,
    `target ${c.target.name}: ${c.target.version}, ${c.target.description}`,
    ...section('Tables', c.tables.map(table)),
    ...section(
      'Refused rows (the target cannot hold them exactly, so they are not there)',
      c.refused.flatMap((r) => [
        `  ${visibleText(r.table)}: ${grouped(r.count)}`,
        ...r.examples.slice(0, 5).map((e) => `    ${keyText(e.key)}: ${visibleText(e.reason)}`),
      ]),
    ),
    ...section(
      'Schema differences',
      c.schema.differences.flatMap((d) => [
        `  ${visibleText(d.what)}${d.reason === undefined ? '' : ` (${visibleText(d.reason)})`}`,
        `    ${d.fix};`,
      ]),
    ),
    ...section(
      'Differences that the pairs declare not to count',
      Object.entries(c.tolerances).map(([column, n]) => `  ${visibleText(column)}: ${grouped(n)}`),
    ),
    ...section(
      'Not compared',
      c.coverage.not_compared.map((n) => `  ${visibleText(n.what)}: ${visibleText(n.reason)}`),
    ),
    ...section('Not carried over', notCarriedLines(c.not_carried)),
    ...section(
      'Made in another way',
      c.notes.map((n) => `  ${visibleText(n)}`),
    ),
    '',
    `Never carried over: ${c.never_carried.join('; ')}.`,
  ];
  await out.write(`${lines.join('\n')}\n`);
};

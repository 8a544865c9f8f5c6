import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Run } from '../../model/runs.ts';
import type { Out } from '../io.ts';
import { styleOf } from '../style.ts';
import { columnsOf } from './text.ts';

type Bag = Readonly<Record<string, unknown>>;
const bag = (value: unknown): Bag => (value !== null && typeof value === 'object' ? (value as Bag) : {});
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
const total = (value: unknown): number => Object.values(bag(value)).reduce<number>((sum, n) => sum + number(n), 0);

const decidedWords = {
  propagated: 'one-sided',
  ruled: 'ruled',
  resolved: 'resolved',
  waiting: 'waiting',
  agreed: 'agreed by themselves',
} as const;

/** What a run of a sync that keeps an archive did to each side. Nothing for other runs. */
export const runSides = async (out: Out, run: Run): Promise<void> => {
  const report = bag(run.report satisfies JsonValue | null);
  const sides = bag(report['sides']);
  const style = styleOf(out.color);
  if (Object.keys(sides).length === 0 && report['waiting'] === undefined) return;
  const line = (label: string, text: string): Promise<void> => out.write(`  ${label.padEnd(10)}${text}\n`);
  if (typeof report['verdict'] === 'string') await line('verdict', report['verdict']);
  const decided = bag(report['decided']);
  const words = Object.entries(decidedWords).map(([name, word]) => `${grouped(number(decided[name]))} ${word}`);
  if (report['decided'] !== undefined) await line('keys', words.join(' · '));
  const withheld = number(bag(report['planned'])['withheld']);
  if (withheld > 0) await line('left', `${count(withheld, 'key')} not written by this run`);
  const rows = (['target', 'source'] as const).flatMap((side) => {
    const of = bag(sides[side]);
    if (sides[side] === undefined) return [];
    const applied = bag(of['applied']);
    const n = (op: string): string => grouped(number(applied[op]));
    const planned = of['planned'] === undefined ? '' : `of ${count(total(of['planned']), 'change')}`;
    const rest = (['already', 'moved', 'rejected', 'kept'] as const)
      .filter((word) => number(of[word]) > 0)
      .map((word) => `${grouped(number(of[word]))} ${word}`);
    const places = [of['run'], of['plan']].filter((x) => typeof x === 'string' && x !== '');
    return [
      [
        `  ${visibleText(run[side]?.name ?? side)}`,
        `+ ${n('insert')}`,
        `~ ${n('update')}`,
        `- ${n('delete')}`,
        [planned, ...rest].filter((x) => x !== '').join(' · '),
        places.join(' '),
      ],
    ];
  });
  if (rows.length > 0) await out.write(`${columnsOf(rows, () => false).join('\n')}\n`);
  const waiting = number(report['waiting']);
  if (waiting > 0) {
    const where = run.sync === null ? '' : ` ${visibleText(run.sync)}`;
    await out.write(
      `  ${style.yellow('?')} ${count(waiting, 'conflict')} waited for a person when it ended: lockstep conflicts list${where}\n`,
    );
  }
};

/**
 * Run as a process of its own: reads a large table by scan, hashes and digest through an engine, and prints the
 * largest resident memory of itself and its children, in MB, after the first tenth of the rows and at the end.
 * Arguments: engine, URL, rows.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { loadEngine } from '../../src/engines/registry.ts';
import { keepHeapSmall } from '../../src/lib/heap.ts';
import type { Selection } from '../../src/model/selected.ts';

const [engineName, url, total] = process.argv.slice(2) as [string, string, string];
const { signal } = new AbortController();
keepHeapSmall();

/** Resident memory with pages that processes share (the runtime itself) counted once: the proportional set size. */
const residentMb = (pid: string): number => {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};
const children = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) \S /, '')
          .startsWith(`${process.pid} `)
      );
    } catch {
      return false;
    }
  });
const allMb = (): number => [String(process.pid), ...children()].reduce((mb, pid) => mb + residentMb(pid), 0);

const engine = (await loadEngine(engineName))!;
const endpoint = await engine.connect(engine.parse(url), { name: 'big', writable: false, signal });
const table = (await endpoint.inspect({ signal })).tables.find((t) => t.name === 'big')!;
const selection: Selection = {
  table,
  columns: table.columns.map((c) => ({
    name: c.name,
    stored: c.type,
    as: c.type,
    ...(c.loose ? { loose: true } : {}),
  })),
  keyWidth: 1,
};
const spec = { seed: 1n, form: 'hex' } as const;
const reader = await endpoint.snapshot({ signal });
const result: Record<string, { rows: number; earlyMb: number; peakMb: number }> = {};

const watch = async (name: string, batches: AsyncIterable<number>): Promise<void> => {
  let [rows, earlyMb, peakMb, next] = [0, 0, 0, 0];
  for await (const n of batches) {
    rows += n;
    if (rows < next) continue;
    next = rows + Number(total) / 50;
    const mb = allMb();
    peakMb = Math.max(peakMb, mb);
    if (rows <= Number(total) / 5) earlyMb = Math.max(earlyMb, mb);
  }
  result[name] = { rows, earlyMb, peakMb };
};

await watch(
  'scan',
  (async function* () {
    for await (const batch of reader.scan(selection, { kind: 'all' }, { signal })) yield batch.length;
  })(),
);
await watch(
  'hashes',
  (async function* () {
    for await (const batch of reader.hashing!.hashes(selection, { kind: 'all' }, spec, { signal })) yield batch.count;
  })(),
);
await watch(
  'digest',
  (async function* () {
    const timer = setInterval(() => {
      mid = Math.max(mid, allMb());
    }, 100);
    let mid = 0;
    const partition = {
      by: 'range' as const,
      origin: 1n,
      width: BigInt(Math.ceil(Number(total) / 10_000)),
      count: 10_000,
    };
    const digests = await reader.hashing!.digest(selection, partition, spec, { signal });
    clearInterval(timer);
    result['during digest'] = { rows: digests.length, earlyMb: 0, peakMb: mid };
    yield digests.reduce((n, d) => n + d.rows, 0);
  })(),
);
await reader[Symbol.asyncDispose]();
await endpoint[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify(result));

import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Change, ChangeOp } from '../model/change.ts';
import type { Batch, Row } from '../model/row.ts';

/** Changes of one table and stage in memory before they go to a file. */
const heldMost = 4000;
const batchMost = 1000;

/** Holds changes by lane until the order of application is known; flat in memory. */
export interface Spool extends AsyncDisposable {
  add(lane: string, change: Change): Promise<void>;
  count(lane: string): number;
  /** From the beginning, any number of times, one after another; nothing is added afterwards. */
  read(lane: string): AsyncIterable<Batch<Change>>;
}

type Packed = readonly [op: ChangeOp, key: Row, before: Row | null, after: Row | null, columns?: readonly number[]];

const pack = (c: Change): string => {
  const packed: Packed =
    c.op === 'delete' ? [c.op, c.key, c.before, null] : [c.op, c.key, c.before, c.after, c.columns];
  return `${JSON.stringify(packed)}\n`;
};

const unpack = (line: string): Change => {
  const [op, key, before, after, columns] = JSON.parse(line) as Packed;
  return (op === 'delete' ? { key, op, before, after } : { key, op, before, after, columns }) as Change;
};

interface Lane {
  count: number;
  held: Change[];
  file: { readonly path: string; readonly stream: WriteStream; ended: boolean } | undefined;
}

/** `parent`: an existing folder for temporary files. They are made only when needed and removed when disposed. */
export const openSpool = (parent: string): Spool => {
  const lanes = new Map<string, Lane>();
  let folder: Promise<string> | undefined;

  const flush = async (lane: Lane): Promise<void> => {
    folder ??= mkdtemp(join(parent, 'lockstep-plan-'));
    if (lane.file === undefined) {
      const path = join(await folder, `${[...lanes.values()].indexOf(lane)}.jsonl`);
      lane.file = { path, stream: createWriteStream(path, { mode: 0o600, highWaterMark: 1 << 20 }), ended: false };
      await once(lane.file.stream, 'open');
    }
    const text = lane.held.map(pack).join('');
    lane.held = [];
    if (!lane.file.stream.write(text)) await once(lane.file.stream, 'drain');
  };

  return {
    add: async (name, change) => {
      let lane = lanes.get(name);
      if (lane === undefined) {
        lane = { count: 0, held: [], file: undefined };
        lanes.set(name, lane);
      }
      lane.count++;
      lane.held.push(change);
      if (lane.held.length >= heldMost) await flush(lane);
    },
    count: (name) => lanes.get(name)?.count ?? 0,
    read: async function* (name) {
      const lane = lanes.get(name);
      if (lane === undefined) return;
      if (lane.file === undefined) {
        for (let i = 0; i < lane.held.length; i += batchMost) yield lane.held.slice(i, i + batchMost);
        return;
      }
      if (!lane.file.ended) {
        await flush(lane);
        lane.file.ended = true;
        lane.file.stream.end();
        await once(lane.file.stream, 'close');
      }
      let batch: Change[] = [];
      let rest = '';
      // Not readline: it also splits at U+2028 and U+2029, which JSON leaves as they are.
      for await (const chunk of createReadStream(lane.file.path, { encoding: 'utf8', highWaterMark: 1 << 18 })) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          batch.push(unpack(line));
          if (batch.length === batchMost) {
            yield batch;
            batch = [];
          }
        }
      }
      if (batch.length > 0) yield batch;
    },
    [Symbol.asyncDispose]: async () => {
      for (const lane of lanes.values()) lane.file?.stream.destroy();
      if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
    },
  };
};

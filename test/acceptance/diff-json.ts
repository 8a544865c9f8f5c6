import assert from 'node:assert/strict';
import { inProcess } from '../cli/in-process.ts';

/** What `lockstep diff --format json` promises. */
export interface DiffJson {
  readonly schema_version: number;
  readonly run: string | null;
  readonly verdict: 'agrees' | 'differs' | 'incomplete';
  readonly coverage: { readonly complete: boolean; readonly not_compared: readonly unknown[] };
  readonly pairs: readonly PairJson[];
  readonly differences: readonly DifferenceJson[];
  readonly truncated: boolean;
}

export interface PairJson {
  readonly source: string;
  readonly target: string;
  readonly key: readonly string[];
  readonly strategy: string;
  readonly rows: { readonly source: number; readonly target: number };
  readonly identical: number;
  readonly different: number;
  readonly only_in_source: number;
  readonly only_in_target: number;
  readonly duplicate_key: number;
  readonly in_flight: number;
  readonly columns: Readonly<Record<string, number>>;
  readonly explain?: { readonly decision: string };
}

export interface DifferenceJson {
  readonly pair: string;
  readonly key: Readonly<Record<string, string | null>>;
  readonly kind: 'different' | 'only_in_source' | 'only_in_target';
  readonly cells: readonly {
    readonly column: string;
    readonly source?: string | null;
    readonly target?: string | null;
  }[];
}

/** Runs `lockstep diff` and checks what must hold of every answer: one document, counts that add up, the exit code. */
export const diffJson = async (source: string, target: string, ...args: readonly string[]): Promise<DiffJson> => {
  const { code, stdout, stderr } = await inProcess([
    ...['diff', source, target, ...args, '--format', 'json', '--limit', 'all'],
    ...(args.includes('--settle') ? [] : ['--settle', '0']),
  ]);
  assert.ok([0, 2, 25].includes(code), `exit ${code}: ${stderr}`);
  const found = JSON.parse(stdout) as DiffJson;
  assert.equal(found.schema_version, 1);
  assert.equal(found.run, null);
  assert.equal(found.truncated, false);
  assert.equal({ agrees: 0, differs: 2, incomplete: 25 }[found.verdict], code);
  let shown = 0;
  for (const p of found.pairs) {
    const own = found.differences.filter((d) => d.pair === p.source);
    for (const kind of ['different', 'only_in_source', 'only_in_target'] as const)
      assert.equal(own.filter((d) => d.kind === kind).length, p[kind], `${p.source}: ${kind}`);
    shown += own.length;
    if (p.duplicate_key === 0 && p.in_flight === 0) {
      assert.equal(p.rows.source, p.identical + p.different + p.only_in_source, p.source);
      assert.equal(p.rows.target, p.identical + p.different + p.only_in_target, p.source);
    }
  }
  assert.equal(shown, found.differences.length);
  for (const d of found.differences) {
    for (const cell of d.cells) {
      assert.equal('source' in cell, d.kind !== 'only_in_target');
      assert.equal('target' in cell, d.kind !== 'only_in_source');
      for (const value of [cell.source, cell.target])
        assert.ok(value === undefined || value === null || typeof value === 'string');
    }
  }
  return found;
};

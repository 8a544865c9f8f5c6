import { Spool } from './spool.ts';

/** What is between two pieces: no piece holds it, since controls are written out. */
const end = '\0';
const mostHeld = 8 * 1024 * 1024;

/** Pieces of text by pair, kept until it is known how many of each are shown. Memory stays flat: see `Spool`. */
export class Sections implements Disposable {
  readonly #spools = new Map<string, Spool>();
  #held = 0;

  add(pair: string, piece: string): void {
    let spool = this.#spools.get(pair);
    if (!spool) {
      spool = new Spool(mostHeld);
      this.#spools.set(pair, spool);
    }
    spool.add(piece + end);
    this.#held += piece.length;
    if (this.#held <= mostHeld) return;
    for (const one of this.#spools.values()) one.spill();
    this.#held = 0;
  }

  /** The first `most` pieces of a pair, in the order they were added. */
  *read(pair: string, most: number): Generator<string> {
    let left = most;
    if (left <= 0) return;
    for (const text of this.#spools.get(pair)?.read() ?? []) {
      const pieces = text.split(end);
      if (pieces.length > left) {
        yield pieces.slice(0, left).join('');
        return;
      }
      left -= pieces.length - 1;
      yield pieces.join('');
    }
  }

  [Symbol.dispose](): void {
    for (const spool of this.#spools.values()) spool[Symbol.dispose]();
  }
}

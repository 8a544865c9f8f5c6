import { hashed } from '../../lib/lookup3.ts';

const slots = 16_384;
const longest = 128;
const longestWords = longest / 4;
/** The golden ratio's, odd. */
const spread = 0x9e3779b1 | 0;
const windowSize = 4096;
/** Below this share of hits in a window, looking up costs more than it saves. */
const worthwhile = 0.25;
const pause = 16 * windowSize;

/**
 * Hashes of the JSON documents of one column, by their bytes: settings, labels and the like repeat. The newest document
 * of a slot stays. Where documents do not repeat, it stops looking, and tries again later.
 */
export class JsonMemo {
  readonly #words = new Int32Array((slots * longest) / 4);
  /** 0: nothing is there. */
  readonly #lengths = new Int32Array(slots);
  readonly #hashes = new Int32Array(slots * 2);
  #slot = -1;
  #looked = 0;
  #hits = 0;
  #resting = 0;

  /** True: the hash of these bytes is in `hashed`. False: make it, and `keep` it. */
  find(view: DataView, from: number, to: number): boolean {
    const length = to - from;
    this.#slot = -1;
    if (this.#resting > 0) {
      this.#resting--;
      return false;
    }
    if (length > longest || length < 4) return false;
    if (++this.#looked === windowSize) this.#judge();
    // four bytes at a time, the last four perhaps twice
    let h = length | 0;
    const last = to - 4;
    for (let i = from; i < last; i += 4) {
      h = Math.imul(h ^ view.getInt32(i, true), spread);
      h ^= h >>> 15;
    }
    h = Math.imul(h ^ view.getInt32(last, true), spread);
    const slot = (h ^ (h >>> 17)) & (slots - 1);
    this.#slot = slot;
    if (this.#lengths[slot] !== length || !this.#same(view, from, to, slot)) return false;
    this.#hits++;
    hashed[0] = this.#hashes[2 * slot]!;
    hashed[1] = this.#hashes[2 * slot + 1]!;
    return true;
  }

  /** Keeps what is in `hashed` for the bytes that were looked for last. */
  keep(view: DataView, from: number, to: number): void {
    const slot = this.#slot;
    if (slot < 0) return;
    const last = to - 4;
    let k = slot * longestWords;
    for (let i = from; i < last; i += 4) this.#words[k++] = view.getInt32(i, true);
    this.#words[k] = view.getInt32(last, true);
    this.#lengths[slot] = to - from;
    this.#hashes[2 * slot] = hashed[0]!;
    this.#hashes[2 * slot + 1] = hashed[1]!;
  }

  #same(view: DataView, from: number, to: number, slot: number): boolean {
    const words = this.#words;
    const last = to - 4;
    let k = slot * longestWords;
    for (let i = from; i < last; i += 4) if (view.getInt32(i, true) !== words[k++]) return false;
    return view.getInt32(last, true) === words[k];
  }

  #judge(): void {
    if (this.#hits < windowSize * worthwhile) this.#resting = pause;
    this.#looked = 0;
    this.#hits = 0;
  }
}

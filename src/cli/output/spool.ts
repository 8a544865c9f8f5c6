import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Text kept until it may be written: in memory up to a bound, then in a private file that has no name (it is unlinked
 * at once where the system allows, and removed when disposed). So memory stays flat for any number of differences.
 */
export class Spool implements Disposable {
  readonly #limit: number;
  #memory: string[] = [];
  #held = 0;
  #file: number | undefined;
  #folder: string | undefined;
  #position = 0;

  /** `limit`: UTF-16 units kept in memory. */
  constructor(limit = 8 * 1024 * 1024) {
    this.#limit = limit;
  }

  get empty(): boolean {
    return this.#held === 0 && this.#position === 0;
  }

  add(text: string): void {
    this.#memory.push(text);
    this.#held += text.length;
    if (this.#held > this.#limit) this.spill();
  }

  /** Moves what is in memory to the file. */
  spill(): void {
    if (this.#held === 0) return;
    if (this.#file === undefined) {
      this.#folder = mkdtempSync(join(tmpdir(), 'lockstep-'));
      const path = join(this.#folder, 'spool');
      this.#file = openSync(path, 'wx+', 0o600);
      if (process.platform !== 'win32') this.#remove();
    }
    const bytes = Buffer.from(this.#memory.join(''), 'utf8');
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#position + done);
    }
    this.#position += bytes.length;
    this.#memory = [];
    this.#held = 0;
  }

  #remove(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  /** Everything that was added, in order. */
  *read(): Generator<string> {
    if (this.#file !== undefined) {
      const decoder = new TextDecoder();
      const buffer = Buffer.alloc(1024 * 1024);
      for (let at = 0; at < this.#position; ) {
        const n = readSync(this.#file, buffer, 0, buffer.length, at);
        if (n === 0) break;
        at += n;
        yield decoder.decode(buffer.subarray(0, n), { stream: true });
      }
      const rest = decoder.decode();
      if (rest !== '') yield rest;
    }
    if (this.#memory.length) yield this.#memory.join('');
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#remove();
    this.#memory = [];
  }
}

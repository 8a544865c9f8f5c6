import type { Cancel } from './cancel.ts';
import type { Masks } from './canon/concealed.ts';

/** A key that the control store encrypts values with; it is kept wrapped by another one that is not in the store. */
export interface StoredKeyState {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly made: number;
  /** Names the key of the configuration that wraps it. */
  readonly wrappedBy: string;
  /** Is that key configured here? */
  readonly known: boolean;
  /** What is stored now is encrypted with this one. */
  readonly current: boolean;
}

/** Keys of stored values. */
export interface StoredKeysPort {
  /** Oldest first; none: nothing has been encrypted. */
  list(o: Cancel): Promise<readonly StoredKeyState[]>;
  /** What values are masked with, the same for as long as the store lives. STORED_KEY. */
  masks(o: Cancel): Promise<Masks>;
  /**
   * Wraps all of them by the configured key, and makes a new one for what is stored from now on. STORED_KEY when one of
   * them cannot be opened: then nothing is changed.
   */
  rekey(o: Cancel): Promise<readonly StoredKeyState[]>;
}

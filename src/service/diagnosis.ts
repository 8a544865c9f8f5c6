import type { Finding } from '../model/endpoint.ts';

/** A finding and what it is about, with the exit code it means when it is an error. */
export interface Diagnosis extends Finding {
  readonly about: string;
  readonly exit?: number;
}

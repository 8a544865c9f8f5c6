import type { Cancel } from './cancel.ts';
import type { JsonValue } from './json.ts';

/** A unit of work as a worker has it. It is the worker's until it is done, put back, or the worker is taken for dead. */
export interface Job {
  readonly id: string;
  readonly data: JsonValue;
  /** Jobs of one lane are not meant to run beside each other; who takes one makes sure by a lock. */
  readonly lane: string;
  /** Rises each time the job is taken: a late `done` of an earlier worker is passed over. */
  readonly attempt: number;
}

export type QueueName = 'run' | 'segment';

/** How many jobs there are. */
export interface QueueDepth {
  readonly queued: number;
  readonly active: number;
  /** Age of the oldest that waits, milliseconds; 0 without any. */
  readonly oldestMs: number;
}

/** The queue of units of work. Nothing of it is lost with a process. */
export interface Queue {
  add(queue: QueueName, jobs: readonly { readonly data: JsonValue; readonly lane: string }[], o: Cancel): Promise<void>;
  /** Oldest first, at most `most`; none of the lanes `except`, and none of lanes that have an active job. */
  take(
    queue: QueueName,
    o: Cancel & { readonly most: number; readonly except?: readonly string[] },
  ): Promise<readonly Job[]>;
  done(queue: QueueName, job: Job, o: Cancel): Promise<void>;
  /** Others may take it. `tell`: they are told, since somebody could; else they find it when they look next. */
  putBack(queue: QueueName, job: Job, o: Cancel & { readonly tell: boolean }): Promise<void>;
  depth(queue: QueueName, o: Cancel): Promise<QueueDepth>;
  /** One item whenever there may be work: added, put back, or a lane has become free; at least once a second. */
  arrivals(o: Cancel): AsyncIterable<void>;
}

import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Hashing, Reader } from '../../src/model/reader.ts';
import type { Writer } from '../../src/model/writer.ts';

/** A reader that does as another does, except for `change`. */
export const overReader = (reader: Reader, change: Partial<Reader>): Reader => ({
  ...(reader.position === undefined ? {} : { position: reader.position }),
  scan: (...a) => reader.scan(...a),
  count: (...a) => reader.count(...a),
  sample: (...a) => reader.sample(...a),
  keyBounds: (...a) => reader.keyBounds(...a),
  ...(reader.hashing ? { hashing: reader.hashing } : {}),
  ...(reader.ranges ? { ranges: (...a) => reader.ranges!(...a) } : {}),
  [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  ...change,
});

export const overHashing = (hashing: Hashing, change: Partial<Hashing>): Hashing => ({
  forms: hashing.forms,
  supports: (c) => hashing.supports(c),
  digest: (...a) => hashing.digest(...a),
  hashes: (...a) => hashing.hashes(...a),
  ...change,
});

/** A writer that does as another does, except for `change`. */
export const overWriter = (writer: Writer, change: Partial<Writer>): Writer => ({
  maxBatch: writer.maxBatch,
  prepare: (o) => writer.prepare(o),
  lock: (...a) => writer.lock(...a),
  apply: (...a) => writer.apply(...a),
  applied: (...a) => writer.applied(...a),
  advanceSequences: (...a) => writer.advanceSequences(...a),
  ...change,
});

/** An endpoint that does as another does, except for `change`; disposing it disposes the other. */
export const overEndpoint = (endpoint: Endpoint, change: Partial<Endpoint>): Endpoint => ({
  name: endpoint.name,
  engine: endpoint.engine,
  version: endpoint.version,
  fingerprint: endpoint.fingerprint,
  inspect: (o) => endpoint.inspect(o),
  snapshot: (o) => endpoint.snapshot(o),
  ...(endpoint.writer ? { writer: endpoint.writer } : {}),
  ...(endpoint.examine ? { examine: (o) => endpoint.examine!(o) } : {}),
  [Symbol.asyncDispose]: () => endpoint[Symbol.asyncDispose](),
  ...change,
});

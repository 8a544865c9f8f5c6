import type { Clock } from '../../lib/clock.ts';
import type { TableDetails } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { ConnectOptions, Endpoint, Finding, Fingerprint, QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Reader } from '../../model/reader.ts';
import { type Schema, type Table, type TableName, tableLabel } from '../../model/schema.ts';
import type { Writer } from '../../model/writer.ts';
import { type Throttle, throttle } from '../sql/throttle.ts';
import { type ApiClient, openClient } from './client.ts';
import { describeConfig, type HttpConfig } from './config.ts';
import { examineResource, examineWhole, failureFinding } from './examine.ts';
import type { Json } from './json.ts';
import { type LastLists, lastLists } from './last-lists.ts';
import { machineLock } from './lock.ts';
import { pages } from './pages.ts';
import { HttpReader } from './reader.ts';
import type { Resource } from './resource.ts';
import { type Shape, shapeOf } from './shape.ts';
import { openWriter } from './writer.ts';

const defaultTimeoutMs = 30_000;

/** One API. Its resources are its tables; what is not declared of them is inferred once, from the first page. */
export class HttpEndpoint implements Endpoint {
  readonly engine = 'http';
  readonly version = 'HTTP API';
  readonly name: string;
  readonly lazy = true;
  readonly fingerprint: Fingerprint;
  readonly writer?: Writer;
  readonly #config: HttpConfig;
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #throttle: Throttle;
  readonly #last: LastLists = lastLists();
  readonly #shapes = new Map<string, Promise<Shape>>();

  constructor(
    config: HttpConfig,
    o: ConnectOptions,
    outside: { readonly clock: Clock; readonly random: () => number },
  ) {
    this.name = o.name;
    this.#config = config;
    this.#clock = outside.clock;
    this.#client = openClient(config, {
      side: o.name,
      timeoutMs: o.statementTimeoutMs ?? defaultTimeoutMs,
      ...(o.correlation === undefined ? {} : { correlation: o.correlation }),
      ...(o.traceparent === undefined ? {} : { traceparent: o.traceparent }),
      ...outside,
    });
    this.#throttle = throttle(o.rowsPerSecond, outside.clock);
    const address = describeConfig(config);
    this.fingerprint = { server: `http:${config.base.origin}`, database: config.base.pathname, address };
    if (o.writable)
      this.writer = openWriter({
        client: this.#client,
        clock: outside.clock,
        last: this.#last,
        lock: machineLock(o.name, this.fingerprint, outside.clock),
        shape: (name, cancel) => this.#shape(name, cancel),
      });
  }

  #resource(name: TableName): Resource {
    const found = this.#config.resources.find((r) => r.name === name.name && name.schema === undefined);
    if (found) return found;
    throw new LockstepError('TABLE_NOT_FOUND', `${this.name}: the API declares no resource ${tableLabel(name)}`, {
      side: this.name,
      hint: `Resources: ${this.#config.resources.map((r) => r.name).join(', ')}.`,
    });
  }

  #shape(name: TableName, { signal }: Cancel): Promise<Shape> {
    const resource = this.#resource(name);
    const known = this.#shapes.get(resource.name);
    if (known) return known;
    const shape = this.#learn(resource, signal);
    this.#shapes.set(resource.name, shape);
    shape.catch(() => this.#shapes.delete(resource.name));
    return shape;
  }

  async #learn(resource: Resource, signal: AbortSignal): Promise<Shape> {
    if (resource.columns !== undefined && resource.key !== undefined) return shapeOf(resource, []);
    return shapeOf(resource, await this.#firstPage(resource, signal));
  }

  async #firstPage({ list }: Resource, signal: AbortSignal): Promise<readonly Json[]> {
    for await (const { items } of pages(this.#client, list, { signal, cached: true })) return items;
    return [];
  }

  async inspect({ signal }: Cancel): Promise<Schema> {
    signal.throwIfAborted();
    const tables: Table[] = [];
    for (const resource of this.#config.resources) tables.push((await this.#shape(resource, { signal })).table);
    return { tables };
  }

  async snapshot({ signal, onQuery }: Cancel & { readonly onQuery?: (q: QueryReport) => void }): Promise<Reader> {
    signal.throwIfAborted();
    return new HttpReader({
      client: this.#client,
      clock: this.#clock,
      throttle: this.#throttle,
      last: this.#last,
      shape: (name, cancel) => this.#shape(name, cancel),
      onQuery,
    });
  }

  /** An API says nothing of its tables beyond what is declared. */
  async details({ tables }: Cancel & { readonly tables: readonly Table[] }): Promise<readonly TableDetails[]> {
    return tables.map(() => ({ columns: new Map(), indexes: [], others: [] }));
  }

  async examine(
    o: Cancel & { readonly tables: readonly Table[]; readonly writable: boolean },
  ): Promise<readonly Finding[]> {
    const found: Finding[] = [...examineWhole(this.#config)];
    const reading = { client: this.#client, clock: this.#clock };
    for (const table of o.tables) {
      try {
        const shape = await this.#shape(table, o);
        found.push(...(await examineResource(reading, shape, await this.#firstPage(shape.resource, o.signal), o)));
      } catch (error) {
        found.push(failureFinding(error));
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#last[Symbol.dispose]();
    this.#client[Symbol.dispose]();
  }
}

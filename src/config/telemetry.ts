import type { TraceSettings } from '../model/traces.ts';
import type { ReadSection } from './server.ts';
import type { WrittenTelemetry } from './telemetry-schema.ts';
import { parseShare } from './units.ts';

/** What is written, with its defaults; undefined: nothing is traced. */
export const tracesOf = (
  written: WrittenTelemetry | undefined,
  read: ReadSection,
  secret: (value: string) => void,
): TraceSettings | undefined => {
  const traces = written?.traces;
  if (traces === undefined) return undefined;
  const at = (key: string): readonly PropertyKey[] => ['traces', key];
  const address = read.text(traces.otlp, at('otlp'));
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address))
    throw read.wrong(at('otlp'), `${address} is no address`, 'Write for example https://collector:4318.');
  const url = new URL(address);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  const headers = Object.fromEntries(
    Object.entries(traces.headers ?? {}).map(([name, value]) => {
      const found = read.text(value, [...at('headers'), name]);
      secret(found);
      return [name, found];
    }),
  );
  const sample = traces.sample === undefined ? 1 : parseShare(traces.sample);
  if (sample === undefined) throw read.wrong(at('sample'), 'expected a percentage from 0% to 100%', 'Write 10%.');
  return {
    url,
    headers,
    sample,
    service: traces.service === undefined ? 'lockstep' : read.text(traces.service, at('service')),
    allowPrivate: traces.allow_private === undefined ? false : read.flag(traces.allow_private, at('allow_private')),
  };
};

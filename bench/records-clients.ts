/** So many clients at once against one URL for so many seconds; prints what they met as JSON. */
// @ts-expect-error: it has no types
import autocannon from 'autocannon';

const { url, token, connections, seconds, paths } = JSON.parse(process.argv[2]!) as {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  readonly seconds: number;
  readonly paths: readonly string[];
};
const result = await autocannon({
  url,
  connections,
  duration: seconds,
  timeout: 30,
  headers: { authorization: `Bearer ${token}` },
  requests: paths.map((path) => ({ method: 'GET' as const, path })),
});
process.stdout.write(
  JSON.stringify({
    done: result['2xx'],
    rate: result['2xx'] / result.duration,
    errors: result.errors + result.timeouts + result.non2xx,
    p50: result.latency.p50,
    p99: result.latency.p99,
  }),
);

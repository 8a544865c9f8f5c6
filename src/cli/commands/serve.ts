import { watchAlerts } from '../../alerts/watch.ts';
import type { Config } from '../../config/config.ts';
import { openCache } from '../../http/open-cache.ts';
import { prepareAccess } from '../../http/prepare-access.ts';
import { allRoutes } from '../../http/routes.ts';
import { type HttpServer, startHttp } from '../../http/server.ts';
import { letHeapGrow } from '../../lib/heap.ts';
import { followApprovals } from '../../service/approvals.ts';
import { damagedBackups } from '../../service/backups.ts';
import { writeCheckpoints } from '../../service/checkpoints.ts';
import { checkedDesk } from '../../service/desk.ts';
import { missingSecrets } from '../../service/doctor.ts';
import { startScheduler } from '../../service/scheduler.ts';
import { supervise } from '../../service/supervise.ts';
import type { Log } from '../../telemetry/log.ts';
import { type Command, type Context, type Flags, tell } from '../context.ts';
import { exitCodes } from '../exit.ts';
import { numberFlag } from '../read-flags.ts';
import { openService } from '../service-process.ts';
import { untilStopped } from '../stopping.ts';
import { keepWorkers } from '../worker-processes.ts';

const workersOf = (flags: Flags, config: Config): number =>
  flags.workers === undefined ? config.server().workers : numberFlag('--workers', flags.workers);

/** A certificate that was renewed is in the files that the configuration names. */
const renewTls = (http: HttpServer, config: Config, log: Log): void => {
  try {
    const tls = config.server().tls?.();
    if (tls) http.renew(tls);
  } catch (error) {
    log.error('the certificate cannot be read, the old one stays', { error });
  }
};

export const serve: Command = async (context: Context, _args, flags) => {
  letHeapGrow();
  const port = flags.port === undefined ? undefined : numberFlag('--port', flags.port);
  if (flags.workers !== undefined) numberFlag('--workers', flags.workers);
  await using service = await openService(context, flags, 'serve');
  const { store, log, endpoints, timings } = service;
  const ending = new AbortController();
  const { signal } = ending;
  const { clock, redactor } = context;
  const access = await prepareAccess({
    store,
    config: service.config,
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(port === undefined ? {} : { port }),
    clock,
    redactor,
    signal,
  });
  const cache = openCache({ config: service.config, store, log, clock, signal });
  const desk = checkedDesk(store.desk, store, service.config);
  const api = {
    version: context.version,
    store,
    desk,
    endpoints,
    events: store.events,
    ...(cache === undefined ? {} : { cache }),
    config: service.config,
    timings,
    failures: service.failures,
    tracer: service.tracer,
    clock,
    redactor,
    signal,
  };
  const { welcome, warning, ...listening } = access;
  const http = await startHttp(api, { ...listening, routes: allRoutes, log, timings });
  const scheduler = startScheduler({ store, config: service.config, clock, random: Math.random, log, signal });
  const checkpoints = writeCheckpoints({
    audit: store.audit,
    log,
    clock,
    everyMs: () => service.config().checkpointEveryMs(),
    signal,
  });
  const watching = supervise({ store, log, clock, signal, retention: () => service.config().retention() });
  const approving = followApprovals({ store, config: service.config, clock, log, signal });
  const alerting = watchAlerts(
    {
      store,
      config: service.config,
      clock,
      log,
      damagedBackups: () => damagedBackups(service.config()),
      redactor,
      process: service.name,
    },
    { signal },
  );
  const workers = keepWorkers(context, flags, { count: workersOf(flags, service.config()), log });
  service.onReload(() => {
    void scheduler.reload().catch((error: unknown) => log.error('schedules are not read again', { error }));
    workers.reload();
    warnOfSecrets();
    renewTls(http, service.config(), log);
  });
  const warnOfSecrets = (): void => {
    for (const { about, message, fix } of missingSecrets(service.config()))
      log.warn('a secret of the configuration is missing', { about, reason: message, fix });
  };
  warnOfSecrets();
  log.info('listening', { url: http.url, workers: workersOf(flags, service.config()), store: store.description });
  if (warning !== undefined) await tell(context, warning);
  const greeting = await welcome(http.url);
  // As it is: the token in it is shown here and nowhere else.
  if (greeting !== undefined) await context.err.write(greeting);
  await context.out.write(`${http.url}\n`);

  await untilStopped(context);
  log.info('stopping');
  await Promise.all([http.close(), workers.stop()]);
  ending.abort();
  await cache?.[Symbol.asyncDispose]();
  await Promise.all([scheduler.ended, watching, checkpoints, approving, alerting]);
  log.info('stopped');
  return exitCodes.ok;
};

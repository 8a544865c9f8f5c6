import { startHelper } from '../../service/help.ts';
import { supervise } from '../../service/supervise.ts';
import { startWorker } from '../../service/worker.ts';
import type { Command } from '../context.ts';
import { exitCodes } from '../exit.ts';
import { numberFlag } from '../read-flags.ts';
import { openService } from '../service-process.ts';
import { untilStopped } from '../stopping.ts';

const usualConcurrency = 2;
/** How long runs in hand may take to end by themselves when the worker is stopped. */
const drainMs = 10_000;

export const worker: Command = async (context, _args, flags) => {
  const concurrency =
    flags.concurrency === undefined ? usualConcurrency : numberFlag('--concurrency', flags.concurrency, 1);
  await using service = await openService(context, flags, 'worker');
  const { store, log } = service;
  const ending = new AbortController();
  const watching = supervise({
    store,
    log,
    clock: context.clock,
    signal: ending.signal,
    retention: () => service.config().retention(),
  });
  const taking = startWorker({
    store,
    world: service.world,
    log,
    clock: context.clock,
    name: service.name,
    concurrency,
  });
  const helping = startHelper({ store, world: service.world, log, clock: context.clock, name: service.name });
  log.info('worker started', { concurrency, store: store.description });
  await untilStopped(context);
  log.info('worker stopping', { runs: taking.busy() });
  await helping.stop();
  // A second signal does not wait.
  context.now.addEventListener('abort', () => void taking.stop(0), { once: true });
  await taking.stop(context.now.aborted ? 0 : drainMs);
  ending.abort();
  await watching;
  log.info('worker stopped');
  return exitCodes.ok;
};

#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { keepCompiledCode } from './lib/compile-cache.ts';

/**
 * The only composition root: gives the command line the process's streams, clock, signals and the engines.
 * The exit code is 1 until a command has said otherwise, so that no crash and no forgotten promise reads as success.
 */
process.exitCode = 1;
// A reload that is asked for before the service is ready for it must not end it; it is made up for.
let reload = false;
const tooEarly = (): void => {
  reload = true;
};
if (['serve', 'worker'].includes(process.argv[2] ?? '')) process.on('SIGHUP', tooEarly);
keepCompiledCode(process.env);
const [
  { exitCodes },
  { mayColor, outTo },
  { runCommandLine },
  engines,
  { systemClock },
  { collectGarbage, keepHeapSmall },
] = await Promise.all([
  import('./cli/exit.ts'),
  import('./cli/io.ts'),
  import('./cli/run.ts'),
  import('./engines/registry.ts'),
  import('./lib/clock.ts'),
  import('./lib/heap.ts'),
]);
keepHeapSmall();
// Once it is all loaded; a command that ends before holds too little to be worth the time.
setTimeout(collectGarbage, 500).unref();

const stop = new AbortController();
const now = new AbortController();
let pressed = 0;
const interrupt = (): void => {
  pressed++;
  if (pressed === 1) stop.abort();
  else if (pressed === 2) now.abort();
  else process.exit(exitCodes.interrupted);
};
process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);
// Started by another process of ours, and to end with it.
if (process.channel) process.on('disconnect', () => stop.abort());

const args = process.argv.slice(2);
const color = !args.includes('--no-color');
const closed = (): void => {
  now.abort();
  stop.abort();
};
const out = outTo(process.stdout, mayColor(process.stdout, process.env, color), closed);
const err = outTo(process.stderr, mayColor(process.stderr, process.env, color));

const versionOf = (): string => {
  const file = join(dirname(import.meta.filename), '../package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
};

const code = await runCommandLine(args, {
  version: versionOf(),
  out,
  err,
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  engines: { names: engines.engineNames, ofUrl: engines.engineOfUrl, load: engines.loadEngine },
  stop: stop.signal,
  now: now.signal,
  canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
  ask: async (question) => {
    const { createInterface } = await import('node:readline/promises');
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const closed = new AbortController();
    // While a line is read, the terminal sends Ctrl-C as a character; Ctrl-D answers with nothing.
    lines.on('SIGINT', interrupt);
    lines.on('close', () => closed.abort());
    try {
      return await lines.question(question, { signal: AbortSignal.any([stop.signal, closed.signal]) });
    } catch (error) {
      await err.write('\n');
      if (stop.signal.aborted) throw error;
      return '';
    } finally {
      lines.close();
    }
  },
  command: [process.execPath, import.meta.filename],
  onHangup: (then) => {
    process.on('SIGHUP', then);
    process.off('SIGHUP', tooEarly);
    if (reload) then();
    return { [Symbol.dispose]: () => void process.off('SIGHUP', then) };
  },
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
  demo: async (context, { once }) => {
    const { demo } = await import('./demo/demo.ts');
    return demo({
      dir: context.cwd,
      command: [process.execPath, import.meta.filename],
      once,
      color: out.color,
      print: (text) => void out.write(`${text}\n`),
      signal: context.stop,
    });
  },
});
await out.flush();
await err.flush();
process.exit(out.closed ? exitCodes.brokenPipe : code);

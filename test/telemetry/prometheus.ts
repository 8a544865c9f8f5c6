/** Samples of an exposition in Prometheus' text format, as a strict reader takes them; throws at what is none. */
export interface Read {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[-+0-9.e]+)$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

const labelsOf = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < text.length) {
    const at = label.lastIndex;
    const m = label.exec(text);
    if (m === null) throw new Error(`no labels: ${text.slice(at)}`);
    if (m[1]! in labels) throw new Error(`label ${m[1]} twice: ${text}`);
    labels[m[1]!] = m[2]!.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  return labels;
};

export const metricsOf = (text: string): readonly Read[] => {
  const typed = new Map<string, string>();
  const seen = new Set<string>();
  const samples: Read[] = [];
  if (!text.endsWith('\n')) throw new Error('no newline at the end');
  for (const one of text.split('\n')) {
    if (one === '') continue;
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(one);
    if (type !== null) {
      if (typed.has(type[1]!)) throw new Error(`${type[1]} has two types`);
      typed.set(type[1]!, type[2]!);
      continue;
    }
    if (/^# HELP \S+ /.test(one)) continue;
    const m = line.exec(one);
    if (m === null) throw new Error(`no sample: ${one}`);
    const family = typed.has(m[1]!) ? m[1]! : m[1]!.replace(/_(bucket|sum|count)$/, '');
    if (!typed.has(family)) throw new Error(`${m[1]} has no type`);
    const labels = m[2] === undefined ? {} : labelsOf(m[2]);
    const key = `${m[1]} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) throw new Error(`twice: ${one}`);
    seen.add(key);
    samples.push({ name: m[1]!, labels, value: Number(m[3]!.replace('Inf', 'Infinity')) });
  }
  return samples;
};

/** The one sample with these labels, and maybe more; undefined without. */
export const sampleOf = (
  samples: readonly Read[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined => {
  const found = samples.filter((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v));
  if (found.length > 1) throw new Error(`${found.length} samples ${name} ${JSON.stringify(labels)}`);
  return found[0]?.value;
};

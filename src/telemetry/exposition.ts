import { catalogue, type MetricName } from './catalogue.ts';

export interface Sample {
  readonly metric: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a histogram. */
  readonly part?: 'bucket' | 'sum' | 'count';
}

const labelText = (text: string): string =>
  text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

const valueText = (value: number): string =>
  Number.isNaN(value)
    ? 'NaN'
    : value === Number.POSITIVE_INFINITY
      ? '+Inf'
      : value === Number.NEGATIVE_INFINITY
        ? '-Inf'
        : String(value);

/** Prometheus' text format 0.0.4. */
export const exposition = (samples: readonly Sample[]): string => {
  const families = new Map<MetricName, Sample[]>();
  for (const sample of samples) families.set(sample.metric, [...(families.get(sample.metric) ?? []), sample]);
  return [...families]
    .map(([metric, all]) => {
      const { help, type } = catalogue[metric];
      const lines = all.map(({ labels, value, part }) => {
        const text = Object.entries(labels)
          .map(([name, label]) => `${name}="${labelText(label)}"`)
          .join(',');
        return `${metric}${part === undefined ? '' : `_${part}`}${text === '' ? '' : `{${text}}`} ${valueText(value)}`;
      });
      return `# HELP ${metric} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${metric} ${type}\n${lines.join('\n')}\n`;
    })
    .join('');
};

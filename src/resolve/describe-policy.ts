import type { ConflictPolicy, PolicyRule, PolicyStep } from '../model/policy.ts';

/** A policy for people: `rules on status, then last_write_wins by updated_at, then a person`. */
export const describePolicy = (policy: ConflictPolicy): string => {
  const columns = Object.entries(policy.columns).map(([name, of]) =>
    'owner' in of ? `${name} is the ${of.owner}’s` : `${name}: ${stepsText(of.steps)}`,
  );
  const types = Object.entries(policy.on).map(([type, steps]) => `${type}: ${stepsText(steps)}`);
  return [`${policy.atomic ? 'whole rows: ' : ''}${stepsText(policy.steps)}`, ...types, ...columns].join(' · ');
};

const stepsText = (steps: readonly PolicyStep[]): string => {
  const words = steps.map(stepText);
  const last = steps.at(-1);
  const closed = last?.kind === 'manual' || last?.kind === 'prefer';
  return [...words, ...(closed ? [] : ['a person'])].join(', then ');
};

const stepText = (step: PolicyStep): string => {
  switch (step.kind) {
    case 'manual':
      return 'a person';
    case 'prefer':
      return `the ${step.side}`;
    case 'last_write_wins': {
      const { source, target = source } = step.newest;
      return `last_write_wins by ${source === target ? source : `${source} and ${target}`}`;
    }
    case 'rules':
      return `rules on ${[...new Set(step.rules.map(ruleText))].join(', ')}`;
    case 'keep_both':
      return 'keep_both';
    case 'function':
      return 'a function';
  }
};

const ruleText = (rule: PolicyRule): string => (rule.kind === 'take' ? `${rule.column} (${rule.take})` : rule.column);

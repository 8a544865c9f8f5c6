import type { PolicyFunction, PolicyRule, PolicyStep, PolicyType } from '../model/policy.ts';
import type { WrittenRule, WrittenSteps } from './conflict-schema.ts';
import type { ConfigDocument } from './places.ts';
import { literalOf } from './transform-of.ts';
import { configError } from './validate.ts';

type Path = readonly PropertyKey[];

/** Where mistakes are told, and how a duration that may be a reference is read: milliseconds. */
export interface ConflictReading {
  readonly document: ConfigDocument;
  duration(value: string, path: Path): number;
}

const pathText = (path: Path): string =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i ? '.' : ''}${String(step)}`)).join('');

/** A place as reasons name it: `syncs.licences.pairs[0].conflict, lockstep.yaml:41`. */
export const whereOf = (r: ConflictReading, path: Path): string => {
  const line = r.document.place(path, 'key')?.line;
  return `${pathText(path)}, ${r.document.file}${line === undefined ? '' : `:${line}`}`;
};

export const wrong = (r: ConflictReading, path: Path, what: string, hint: string) =>
  configError(r.document, path, `${pathText(path)}: ${what}`, { of: 'key', hint });

type Word = NonNullable<WrittenSteps['policy']>;

/** Whose row is kept, by what happened: the update is the source's in update_delete. */
export const ofDeletes = (word: Word | 'keep_update' | 'delete', type: PolicyType): Word => {
  if (word !== 'keep_update' && word !== 'delete') return word;
  return (word === 'keep_update') === (type === 'update_delete') ? 'source' : 'target';
};

/** The settings that each policy is made of. */
const neededBy: Readonly<Record<string, readonly (keyof WrittenSteps)[]>> = {
  prefer: ['side'],
  last_write_wins: ['newest', 'skew', 'ties'],
  rules: ['rules'],
  keep_both: ['new_key'],
};
const settingNames = Object.values(neededBy).flat();

/** Reads policies by name, each with the settings beside it. `column`: the one that they are said of. */
export const stepsOf = (r: ConflictReading, o: WrittenSteps, path: Path, column?: string) => {
  const used = new Set<string>();
  const missing = (word: string, setting: string, at: Path, example: string) =>
    wrong(r, at, `${word} needs ${setting}`, `For example ${setting}: ${example}.`);

  const one = (word: Word, at: Path): PolicyStep => {
    const where = whereOf(r, at);
    if (typeof word === 'function') return { kind: 'function', decide: word as PolicyFunction, where };
    for (const name of neededBy[word] ?? []) used.add(name);
    switch (word) {
      case 'manual':
        return { kind: 'manual', where };
      case 'source':
      case 'target':
        return { kind: 'prefer', side: word, where };
      case 'prefer':
        if (o.side === undefined) throw missing(word, 'side', at, 'source');
        return { kind: 'prefer', side: o.side, where };
      case 'last_write_wins':
        if (o.newest === undefined) throw missing(word, 'newest', at, 'updated_at');
        return {
          kind: 'last_write_wins',
          newest: typeof o.newest === 'string' ? { source: o.newest } : o.newest,
          skewMs: o.skew === undefined ? 0 : r.duration(String(o.skew), [...path, 'skew']),
          ...(o.ties === undefined ? {} : { ties: o.ties }),
          where,
        };
      case 'rules':
        if (o.rules === undefined) throw missing(word, 'rules', at, '[{ column: status, prefer: [active, inactive] }]');
        return {
          kind: 'rules',
          rules: o.rules.map((rule, i) => ruleOf(r, rule, [...path, 'rules', i], column)),
          where,
        };
      case 'keep_both': {
        if (column !== undefined || at.at(-1) === 'update_update')
          throw wrong(r, at, 'keep_both is for rows that both sides inserted', 'Choose another policy here.');
        const { column: of, add, append } = o.new_key ?? {};
        return {
          kind: 'keep_both',
          newKey: {
            ...(of === undefined ? {} : { column: of }),
            ...(add === undefined ? {} : { add: String(add) }),
            ...(append === undefined ? {} : { append }),
          },
          where,
        };
      }
    }
  };
  const otherwise = (): readonly PolicyStep[] =>
    o.otherwise === undefined ? [] : [one(o.otherwise, [...path, 'otherwise'])];
  return {
    /** One policy, and what is asked where it has no opinion. */
    named: (word: Word, at: Path): readonly PolicyStep[] => [one(word, at), ...otherwise()],
    all: (): readonly PolicyStep[] => [
      ...(o.policy === undefined ? [] : [one(o.policy, [...path, 'policy'])]),
      ...otherwise(),
    ],
    /** A setting that no policy here reads was meant for one that is not named. */
    checkUsed: (): void => {
      const idle = settingNames.find((name) => o[name] !== undefined && !used.has(name));
      if (idle === undefined) return;
      const [of] = Object.entries(neededBy).find(([, settings]) => settings.includes(idle))!;
      throw wrong(
        r,
        [...path, idle],
        `is for ${of}, which is not asked here`,
        `Name it: policy: ${of}, or otherwise: ${of}.`,
      );
    },
  };
};

const ruleOf = (r: ConflictReading, rule: WrittenRule, path: Path, of: string | undefined): PolicyRule => {
  const column = rule.column ?? of;
  if (column === undefined) throw wrong(r, path, 'names no column', 'Say which column it looks at: column: status.');
  if (of !== undefined && column !== of)
    throw wrong(
      r,
      [...path, 'column'],
      `is a rule of ${of}`,
      `Rules of ${column} stand with ${column}, or with the pair.`,
    );
  const kinds = (['prefer', 'take', 'transitions'] as const).filter((k) => rule[k] !== undefined);
  if (kinds.length !== 1)
    throw wrong(
      r,
      path,
      kinds.length === 0 ? 'says nothing' : `says ${kinds.join(' and ')} at once`,
      'A rule has one of prefer, take and transitions.',
    );
  const where = whereOf(r, path);
  if (rule.prefer !== undefined) return { kind: 'prefer', column, values: rule.prefer.map(literalOf), where };
  if (rule.take !== undefined) return { kind: 'take', column, take: rule.take, where };
  const transitions = new Map(
    Object.entries(rule.transitions!).map(([from, to]) => [from, to.map((value) => literalOf(value)!)] as const),
  );
  return { kind: 'transitions', column, transitions, where };
};

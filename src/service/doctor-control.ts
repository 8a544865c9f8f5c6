import type { StoreAsItIs } from '../work/open-store.ts';
import type { Diagnosis } from './diagnosis.ts';
import { diagnosisOf } from './doctor.ts';

const about = 'control';

/** Can the control store be reached, is it of this version, and may it be used? `look` throws what stands in the way. */
export const examineControl = async (look: () => Promise<StoreAsItIs>): Promise<readonly Diagnosis[]> => {
  let found: StoreAsItIs;
  try {
    found = await look();
  } catch (error) {
    return [diagnosisOf(about, error)];
  }
  const { description } = found;
  const ok = (message: string): Diagnosis => ({ about, level: 'ok', code: 'control', message });
  if (found.state !== 'reached') {
    const next =
      found.state === 'absent'
        ? 'the first command that keeps something makes it'
        : 'not running; it is started when it is used';
    return [ok(`${description}: ${next}`)];
  }
  const { server, version, known, lacks } = found;
  const where = `${server}, ${description}`;
  const rights = lacks.map(
    ({ what, fix, served }): Diagnosis => ({
      ...{ about, code: 'control_rights', message: what, fix },
      ...(served ? { level: 'warning' } : { level: 'error', exit: 21 }),
    }),
  );
  if (version === 0) return [ok(`${where}: nothing in it yet, the first command makes its tables`), ...rights];
  if (version === known) return [ok(`${where}: version ${version}, as this Lockstep has it`), ...rights];
  return [
    ok(`${where}: version ${version}`),
    {
      ...{ about, level: 'advice', code: 'control_older' },
      message: `it is of an older Lockstep: the next command that uses it brings it to version ${known}`,
      fix: 'Older ones cannot use it after that: update every worker with it, and back it up before.',
    },
    ...rights,
  ];
};

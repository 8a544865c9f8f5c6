import type { Config } from '../config/config.ts';
import { LockstepError } from '../model/errors.ts';
import type { EndpointFacts } from '../model/runs.ts';
import { sideOfEntry } from '../service/job.ts';
import type { Side } from '../service/side.ts';
import type { Context, Flags } from './context.ts';
import { limitsOf } from './job-flags.ts';
import { sideOfText } from './side-of-text.ts';

/**
 * Where the target of a stored plan or run is reached: the address given by hand, the config's endpoint of that name,
 * else the recorded description, which is a URL without its password. The fingerprint is checked by whoever uses it.
 */
export const targetSide = (
  context: Context,
  config: Config | undefined,
  facts: EndpointFacts,
  given: string | undefined,
  flags: Flags,
  sync: string | null,
): Side => {
  const configured = given ?? (sync === null ? facts.name : (config?.syncs[sync]?.target ?? facts.name));
  const entry = config?.endpoints[configured];
  if (config && entry) {
    if (!entry.writable) {
      throw new LockstepError(
        'NOT_WRITABLE',
        `endpoint \`${entry.name}\` is read-only (${config.file}:${entry.line ?? 1})`,
        {
          hint: `To let Lockstep write there, add \`writable: true\` to ${entry.name}.`,
        },
      );
    }
    return sideOfEntry(config, entry, true, limitsOf(flags));
  }
  const address = given ?? facts.description;
  if (!/^[a-z][a-z0-9+.-]*:|^\$\{/i.test(address)) {
    throw new LockstepError('USAGE', `${facts.name} is not an endpoint of ${config?.file ?? 'a config file here'}`, {
      hint: 'Give the address of the target after the plan: lockstep apply PLAN TARGET.',
    });
  }
  return sideOfText(context, address, facts.name, true);
};

/** Says how to give the password when the recorded address alone does not open the door. */
export const withTargetHint = (error: unknown, given: string | undefined, command: string): unknown => {
  if (!(error instanceof LockstepError) || given !== undefined || error.code !== 'AUTH') return error;
  return new LockstepError(error.code, error.message, {
    details: error.details,
    hint: `Passwords are not kept. Give the target's address: lockstep ${command} '\${env:TARGET_URL}'`,
    cause: error,
  });
};

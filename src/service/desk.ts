import type { Config } from '../config/config.ts';
import { LockstepError } from '../model/errors.ts';
import type { RunDesk } from '../model/service.ts';
import type { Store } from '../model/store.ts';
import { mustBeApproved } from '../work/approvals.ts';
import { findPlan } from '../work/find-plan.ts';
import { approvalRuleOf } from './approvals.ts';
import { copyScope } from './execute-copy.ts';
import { comparesSync, endpointsOf, jobOfRequest } from './execute-run.ts';
import { syncNamed } from './run-world.ts';

/** The store's desk, which takes no request that cannot be carried out by the configuration as it is now. */
export const checkedDesk = (desk: RunDesk, store: Store, config: () => Config): RunDesk => ({
  request: async (request, asked, o) => {
    const now = config();
    if (comparesSync(request)) jobOfRequest(now, request);
    else if (request.kind === 'copy' || request.kind === 'assess') copyScope(now, request);
    if (request.kind === 'apply') {
      const plan = await findPlan(store, request.plan, o);
      // One that has begun goes on.
      if (plan.usedBy === null) await mustBeApproved(store, plan, approvalRuleOf(now, plan.header.sync), o);
    }
    for (const { name, writable } of await endpointsOf(now, store, request, o)) {
      const entry = Object.hasOwn(now.endpoints, name) ? now.endpoints[name] : undefined;
      if (entry === undefined)
        throw new LockstepError('NOT_FOUND', `there is no endpoint \`${name}\` in ${now.file}`, {
          hint: `Endpoints: ${Object.keys(now.endpoints).join(', ') || 'none'}.`,
        });
      if (writable && request.kind !== 'assess' && !entry.writable)
        throw new LockstepError('NOT_WRITABLE', `endpoint \`${name}\` is read-only (${now.file})`, {
          hint: `To let Lockstep write there, add \`writable: true\` to ${name}.`,
        });
    }
    return desk.request(request, asked, o);
  },
  known: (actor, key, o) => desk.known(actor, key, o),
  cancel: (run, by, o) => desk.cancel(run, by, o),
  pause: async (sync, by, o) => desk.pause(syncNamed(config(), sync).name, by, o),
  // Of one that is not configured any more, too.
  resume: (sync, by, o) => desk.resume(sync, by, o),
});

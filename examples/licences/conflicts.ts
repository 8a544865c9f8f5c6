/** The story's chapter of conflicts: what both sides edited is settled by a preset, or by a person. */
import { insist, output, type Stage, say } from '../story.ts';
import type { License, Vendor } from './vendor.ts';

export const conflicts = async (o: {
  readonly stage: Pick<Stage, 'query' | 'folder'>;
  readonly vendor: Pick<Vendor, 'licenses' | 'put'>;
  readonly run: (args: readonly string[], promised: number) => Promise<void>;
}): Promise<void> => {
  const { stage, vendor, run } = o;
  const theirs = (id: string): License => vendor.licenses.get(id)!;
  const ours = async (id: string): Promise<Record<string, unknown>> =>
    (await stage.query('shop', `select status, seats, price::text from licenses where external_id = '${id}'`))[0]!;
  const edit = (id: string, set: string): Promise<unknown> =>
    stage.query('shop', `update licenses set ${set} where external_id = '${id}'`);

  say(
    'Support is to edit licences, too. First for 5 % of them, always the same ones: a pilot, which is never green (exit 25)',
  );
  await run(['sync', 'decided', '--yes', '--sample', '5%'], 25);
  say('Then for all: from now on it is known what both sides agreed on');
  await run(['sync', 'decided', '--yes'], 0);

  say(
    'Both sides change prices (the newest write counts), support a status (active beats inactive), and seats (a person decides)',
  );
  vendor.put({ ...theirs('lic_0010'), price: '11.00' });
  await edit('lic_0010', `price = 12, updated_at = now() - interval '1 day'`);
  vendor.put({ ...theirs('lic_0011'), price: '13.00' });
  await edit('lic_0011', `price = 14, updated_at = now() + interval '1 minute'`);
  await edit('lic_0012', `status = 'inactive'`);
  await edit('lic_0018', `status = 'active'`);
  await edit('lic_0014', 'seats = 40');
  await run(['sync', 'decided', '--yes'], 26);
  insist((await ours('lic_0010'))['price'] === '11.00', 'the vendor wrote last');
  insist((await ours('lic_0011'))['price'] === '14.00', 'we wrote last');
  insist((await ours('lic_0012'))['status'] === 'active', 'active beats our inactive');
  insist((await ours('lic_0018'))['status'] === 'active', 'active beats the inactive of the vendor');
  insist((await ours('lic_0014'))['seats'] === 40, 'nobody has decided about the seats yet');

  say('What a preset overruled is recorded with its reason; what nobody decided waits, with the rows of both sides');
  await run(['conflicts', 'list', 'decided', '--state', 'all'], 0);
  const listed = await output(stage.folder, ['conflicts', 'list', 'decided', '--format', 'json']);
  const { conflicts: waiting } = JSON.parse(listed) as {
    readonly conflicts: readonly { readonly id: string; readonly resolution: unknown }[];
  };
  insist(waiting.length === 1 && waiting[0]!.resolution === 'pending', 'one conflict waits for a person');
  await run(['conflicts', 'show', waiting[0]!.id], 0);

  say('A person decides: the vendor is right. It is written at once, and the record says who and why');
  await run(['conflicts', 'resolve', waiting[0]!.id, '--take', 'source', '--why', 'the contract says so', '--yes'], 0);
  insist((await ours('lic_0014'))['seats'] === theirs('lic_0014').seats, 'the seats are the vendor’s');

  say(
    'In both directions: first contact settles what still differs, the price by its owner and the status by its rule',
  );
  await run(['sync', 'both', '--yes'], 0);
  insist((await ours('lic_0011'))['price'] === '13.00', 'the vendor says what it costs');
  insist(theirs('lic_0018').status === 'active', 'the vendor knows that it is active');

  say(
    'The vendor changes a price and the seats, support the seats and the status of the same licence: nothing is lost',
  );
  vendor.put({ ...theirs('lic_0020'), price: '20.50', seats: 31 });
  await edit('lic_0020', `seats = 33, status = 'inactive'`);
  await run(['sync', 'both', '--yes'], 0);
  const both = { status: 'inactive', seats: 33, price: '20.50' };
  const { status, seats, price } = theirs('lic_0020');
  for (const shown of [await ours('lic_0020'), { status, seats, price }])
    insist(JSON.stringify(shown) === JSON.stringify(both), `both sides say ${JSON.stringify(both)}`);
};

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { connect, never, tableOf } from './postgres-support.ts';

const signal = never;

test('the doctor names each missing right with the statement that gives it, and is content when it was run', async () => {
  await using db = await testDatabase();
  await db.query(`
    drop role if exists lockstep_doctor; create role lockstep_doctor login password 'x';
    create schema sales; create table sales."Order ""x""" (id serial primary key, t text); create table public.other (id int primary key);
    grant insert, update, delete on public.other to lockstep_doctor`);
  try {
    await using owner = await connect(db.url);
    const table = (await owner.inspect({ signal, schemas: ['sales'] })).tables.find((t) => t.schema === 'sales')!;
    const url = new URL(db.url);
    url.username = 'lockstep_doctor';
    url.password = 'x';
    await using target = await connect(url.href, { writable: true });
    const before = await target.examine!({ signal, tables: [table], writable: true });
    const fixes = before.filter((f) => f.level === 'error').map((f) => f.fix!);
    assert.deepEqual(fixes, [
      'grant usage on schema "sales" to "lockstep_doctor";',
      'grant select, insert, update, delete on "sales"."Order ""x""" to "lockstep_doctor";',
      'grant usage, select, update on sequence "sales"."Order ""x""_id_seq" to "lockstep_doctor";',
    ]);
    const marker = before.find((f) => f.code === 'MARKER');
    assert.equal(marker?.fix, 'create schema lockstep authorization "lockstep_doctor";');
    assert.match(before.find((f) => f.code === 'RIGHTS_TOO_MANY')?.message ?? '', /public\.other/);
    for (const fix of [...fixes, marker!.fix!, 'revoke all on public.other from lockstep_doctor']) await db.query(fix);
    const after = await target.examine!({ signal, tables: [table], writable: true });
    assert.deepEqual(
      after.filter((f) => f.level !== 'ok'),
      [],
    );
    assert.equal(await target.writer!.prepare({ signal }), 'marker');
    // the same role as a source has more than it needs
    const source = await target.examine!({ signal, tables: [table], writable: false });
    assert.equal(
      source.find((f) => f.code === 'RIGHTS_TOO_MANY')?.fix,
      'revoke insert, update, delete on "sales"."Order ""x""" from "lockstep_doctor";',
    );
  } finally {
    await db.query('drop owned by lockstep_doctor cascade; drop role lockstep_doctor');
  }
});

test('a policy that hides rows is an error, never a silent difference', async () => {
  await using db = await testDatabase();
  await db.query(`
    drop role if exists lockstep_rls; create role lockstep_rls login password 'x';
    create table a (id int primary key, t text); insert into a values (1,'seen'),(2,'hidden');
    alter table a enable row level security; create policy p on a using (t = 'seen'); grant select on a to lockstep_rls`);
  try {
    const url = new URL(db.url);
    url.username = 'lockstep_rls';
    url.password = 'x';
    await using source = await connect(url.href);
    const table = await tableOf(source, 'a');
    const findings = await source.examine!({ signal, tables: [table], writable: false });
    assert.equal(findings.find((f) => f.code === 'ROW_SECURITY')?.fix, 'alter role "lockstep_rls" bypassrls;');
    await using reader = await source.snapshot({ signal });
    await assert.rejects(
      reader.count(
        {
          table,
          columns: [{ name: 'id', stored: { kind: 'int', bits: 32 }, as: { kind: 'int', bits: 32 } }],
          keyWidth: 1,
        },
        { signal },
      ),
      (e: Error & { code?: string; hint?: string }) => e.code === 'PRIVILEGE' && e.hint!.includes('bypassrls'),
    );
  } finally {
    await db.query('drop owned by lockstep_rls; drop role lockstep_rls');
  }
});

test('a superuser, a trigger on the target, a table without key and a text key in a locale are pointed out', async () => {
  await using db = await testDatabase();
  await db.query(`
    create table a (k text primary key); create table b (x int);
    create function f() returns trigger language plpgsql as $$ begin return new; end $$; create trigger tr before update on a for each row execute function f()`);
  await using target = await connect(db.url, { writable: true });
  const { tables } = await target.inspect({ signal });
  const findings = await target.examine!({ signal, tables, writable: true });
  const codes = new Set(findings.map((f) => f.code));
  for (const code of ['RIGHTS_TOO_MANY', 'TRIGGERS', 'KEY', 'INDEX']) assert.ok(codes.has(code), code);
  await db.query(findings.find((f) => f.code === 'INDEX')!.fix!);
  const again = await target.examine!({ signal, tables, writable: true });
  assert.equal(
    again.some((f) => f.code === 'INDEX'),
    false,
  );
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { canonical } from '../../src/model/canon/canonical.ts';
import { isMisfit } from '../../src/model/canon/misfit.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { type Seeded, seeded } from './values.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(async () => {
  await database[Symbol.asyncDispose]();
});

const read = (raw: string): string => canonical({ kind: 'json', binary: true }, raw);

const strings = [
  '""',
  '"a"',
  '"\\u0061"',
  '"é"',
  '"\\u00e9"',
  '"\\ud83d\\ude00"',
  '"😀"',
  '"\\/"',
  '"/"',
  '"\\n"',
  '"\\u000a"',
  '"\\u001f"',
  '"\\""',
  '"\\\\"',
  '"\uffff"',
  '"\ue000"',
  '"A"',
  '"aa"',
  '"\u007f"',
  '"\u2028"',
];
const numbers = [
  '0',
  '-0',
  '0.0',
  '-0.0',
  '0e5',
  '1',
  '1.0',
  '1.00e0',
  '10e-1',
  '-1',
  '100',
  '1e2',
  '1E+2',
  '0.01e4',
  '1.5',
  '15e-1',
  '12345678901234567890.125',
  '1234567890123456789012.5e-2',
  '1e400',
  '1e-400',
  '10e399',
  '0.1e401',
  '1e401',
  '1e-401',
  '-2.50',
  '-2.5',
  '1e450',
];

const blank = (r: Seeded): string => r.pick(['', '', ' ', '\n\t', '\r ']);

const value = (r: Seeded, depth: number): string => {
  const inner = (): string => blank(r) + value(r, depth - 1) + blank(r);
  const count = r.below(4);
  switch (depth > 0 ? r.below(5) : r.below(3)) {
    case 0:
      return r.pick(strings);
    case 1:
      return r.pick(numbers);
    case 2:
      return r.pick(['true', 'false', 'null', '[]', '{}', '[ ]', '{ }']);
    case 3:
      return `[${Array.from({ length: count }, inner).join(',')}${count === 0 ? blank(r) : ''}]`;
    default:
      return `{${Array.from({ length: count }, () => `${blank(r)}${r.pick(strings)}${blank(r)}:${inner()}`).join(',')}}`;
  }
};

test('two JSON texts have one canonical text exactly when PostgreSQL takes them for equal', async () => {
  const r = seeded('json');
  const texts: string[] = [...strings, ...numbers];
  while (texts.length < 700) texts.push(value(r, r.below(4)));
  const { rows } = await database.query(
    `select a.n - 1 as i, array_agg(b.n - 1) as equal
       from unnest($1::text[]) with ordinality as a(t, n), unnest($1::text[]) with ordinality as b(t, n)
      where a.t::jsonb = b.t::jsonb group by a.n`,
    [texts],
  );
  assert.equal(rows.length, texts.length);
  const canonicals = texts.map(read);
  let pairs = 0;
  for (const { i, equal } of rows as { i: string; equal: string[] }[]) {
    const theirs = new Set(equal.map(Number));
    canonicals.forEach((c, j) => {
      assert.equal(c === canonicals[Number(i)], theirs.has(j), `${texts[Number(i)]} / ${texts[j]}`);
    });
    pairs += theirs.size - 1;
  }
  assert.ok(pairs > 500, `${pairs} equal pairs of different texts`);
});

test('the canonical text reads as itself, and the server’s own text and value of it are the same', async () => {
  const r = seeded('json again');
  const texts = Array.from({ length: 3000 }, () => value(r, 4));
  const { rows } = await database.query(
    `select t::jsonb::text as own, (c::jsonb = t::jsonb) as same
       from unnest($1::text[], $2::text[]) with ordinality as u(t, c, n) order by n`,
    [texts, texts.map(read)],
  );
  texts.forEach((text, i) => {
    assert.equal(read(read(text)), read(text));
    assert.equal(read(rows[i]!.own as string), read(text));
    assert.equal(rows[i]!.same, true, text);
  });
});

test('what is no JSON for the server is a misfit, and the other way round', async () => {
  const r = seeded('broken');
  const texts = [
    '',
    ' ',
    '01',
    '1.',
    '.5',
    '+1',
    '--1',
    '1e',
    '"a',
    "'a'",
    '"\t"',
    '"\\x"',
    '"\\u12"',
    '[1,]',
    '[,1]',
    '{,}',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '{"a":1,}',
    '[1',
    '1]',
    '1 2',
    'nul',
    'truee',
    'NaN',
    'Infinity',
    '\u00a01',
    '{"a":1}}',
    '[[1]',
    '\ufeff1',
    '"a""b"',
    '{"a" "b"}',
    '[1 2]',
    'True',
  ];
  while (texts.length < 3000) {
    const whole = value(r, 3);
    const at = r.below(whole.length + 1);
    const text =
      whole.slice(0, at) +
      r.pick(['', ',', '"', ']', '}', '\\', '0', ' ', 'x', ':', '{', '[', '-', '.', 'e']) +
      whole.slice(at + r.below(2));
    if (text.isWellFormed()) texts.push(text);
  }
  const { rows } = await database.query(
    "select pg_input_is_valid(t, 'json') as valid from unnest($1::text[]) with ordinality as u(t, n) order by n",
    [texts],
  );
  let invalid = 0;
  texts.forEach((text, i) => {
    assert.equal(!isMisfit(read(text) as never), rows[i]!.valid, JSON.stringify(text));
    if (!rows[i]!.valid) invalid++;
  });
  assert.ok(invalid > 500 && invalid < 2900, `${invalid} invalid`);
});

test('numbers that would take a lifetime to write out stay short, and equal ones equal', () => {
  assert.equal(read('1e1000000000'), '1e1000000000');
  assert.equal(read('10.0e999999999'), '1e1000000000');
  assert.equal(read('-0.00e1000000000'), '0');
  assert.equal(read('1e99999999999999999999999'), '1e99999999999999999999999');
  assert.equal(read('10e99999999999999999999998'), '1e99999999999999999999999');
  assert.equal(read('1e-99999999999999999999999'), '1e-99999999999999999999999');
  assert.notEqual(read('1e99999999999999999999998'), read('1e99999999999999999999999'));
  assert.equal(read('5e-324'), `0.${'0'.repeat(323)}5`);
  assert.equal(read(read('123e5000')), read('1.23e5002'));
});

test('deep nesting and many keys are bounded by memory only', () => {
  const depth = 300_000;
  assert.equal(read(`${'[ '.repeat(depth)}1.0${']'.repeat(depth)}`), `${'['.repeat(depth)}1${']'.repeat(depth)}`);
  assert.equal(read(`${'{"a": '.repeat(depth)}1${'}'.repeat(depth)}`), `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
  const keys = Array.from({ length: 50_000 }, (_, i) => `"k${(i * 7919) % 50_000}":${i}`);
  const sorted = read(`{${keys.join()}}`);
  assert.equal(read(sorted), sorted);
  assert.ok(isMisfit(read(`${'['.repeat(depth)}1`) as never));
});

test('keys are in the order of their UTF-8 bytes and dangerous names are only names', () => {
  assert.equal(read('{"😀":1,"\uffff":2,"a":3,"B":4}'), '{"B":4,"a":3,"\uffff":2,"😀":1}');
  assert.equal(read('{"__proto__":1,"constructor":2,"2":3,"10":4}'), '{"10":4,"2":3,"__proto__":1,"constructor":2}');
  assert.equal(read('{"a":1,"\\u0061":2}'), '{"a":2}');
  assert.equal(read('"\\ud800"'), '"\\ud800"');
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { served } from './served.ts';

const { url, admin, ended } = await served();
const page = readFileSync(join(import.meta.dirname, '../../docs/guide/api.md'), 'utf8');

/** Words of a command line as a shell reads them: quotes, backslashes and variables, nothing else. */
const words = (line: string, variables: Readonly<Record<string, string>>): readonly string[] =>
  [...line.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(
      /'([^']*)'|"((?:\\.|[^"\\])*)"|([^'"]+)/g,
      (_all, single?: string, double?: string, bare?: string) =>
        single !== undefined
          ? single
          : (double ?? bare ?? '')
              .replaceAll(/(?<!\\)\$(\w+)/g, (whole, name: string) => variables[name] ?? whole)
              .replaceAll(/\\(.)/g, '$1'),
    ),
  );

/** Does an answer show what the page says? Members and items that the page leaves out are free; `…` stands for any text. */
const shows = (answer: unknown, said: unknown): boolean => {
  if (typeof said === 'string' && said.includes('…'))
    return typeof answer === 'string' && said.split('…').every((part) => answer.includes(part));
  if (Array.isArray(said))
    return Array.isArray(answer) && said.every((one) => answer.some((other) => shows(other, one)));
  if (said !== null && typeof said === 'object')
    return (
      answer !== null &&
      typeof answer === 'object' &&
      Object.entries(said).every(([name, value]) => shows((answer as Record<string, unknown>)[name], value))
    );
  return answer === said;
};

test('every call of the guide answers as it says', async () => {
  const variables: Record<string, string> = {
    API: `${url}/api/v1`,
    TOKEN: admin,
    AUTH: `Authorization: Bearer ${admin}`,
  };
  let calls = 0;
  for (const [, block] of page.matchAll(/```console\n([\s\S]*?)```/g)) {
    const lines = block!.trim().split('\n');
    for (let i = 0; i < lines.length; i += 2) {
      const [command, said] = [lines[i]!, lines[i + 1]!];
      assert.ok(command.startsWith('$ curl '), command);
      const [, , ...rest] = words(command, variables);
      let [method, address, body] = ['GET', '', undefined as string | undefined];
      const headers: Record<string, string> = {};
      while (rest.length > 0) {
        const word = rest.shift()!;
        if (word === '-X') method = rest.shift()!;
        else if (word === '-d') body = rest.shift()!;
        else if (word === '-H') {
          const [name, ...value] = rest.shift()!.split(': ');
          headers[name!] = value.join(': ');
        } else address = word;
      }
      assert.doesNotMatch(address, /\$/, command);
      const reply = await fetch(address, { method, headers, ...(body === undefined ? {} : { body }) });
      const text = await reply.text();
      assert.equal(reply.status, Number(said.slice(0, 3)), `${command}\n${text}`);
      const expected = said.slice(4);
      if (expected.startsWith('{')) {
        const answer = JSON.parse(text);
        assert.ok(shows(answer, JSON.parse(expected)), `${command}\nsays ${expected}\nis ${text}`);
        if (reply.status === 202) {
          variables['RUN'] = answer.id;
          const run = await ended(answer.id);
          if (run.kind === 'plan') variables['PLAN'] = run.plan;
        }
        if (typeof answer.hash === 'string') variables['HASH'] = answer.hash;
      } else assert.equal(text.split('\r\n')[0], expected);
      calls++;
    }
  }
  assert.ok(calls > 25, `saw only ${calls} calls`);
});

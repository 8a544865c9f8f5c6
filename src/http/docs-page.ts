import { errorCodes } from '../model/errors.ts';
import { meanings, requestCodes } from './errors.ts';
import type { Answer, Document, Operation, Parameter } from './openapi.ts';
import type { JsonSchema } from './openapi-example.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => entities[c]!);

/** `code` in backticks, everything else as it is. */
const prose = (text: string): string => escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
const code = (text: string): string => `<code>${escaped(text)}</code>`;
const block = (text: string): string => `<pre><code>${escaped(text)}</code></pre>`;

const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)}</title><link rel="stylesheet" href="/docs/style.css"></head><body>${body}</body></html>`;

/** A schema in a few words, with links to what has a name. */
const words = (schema: JsonSchema): string => {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1)!;
    return `<a href="#schema-${escaped(name)}">${escaped(name)}</a>`;
  }
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return [...new Set(several.map(words))].join(' or ');
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((v) => code(String(v))).join(', ');
  if (schema.type === 'array') return schema.items ? `list of ${words(schema.items)}` : 'list';
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
    return `object of ${words(schema.additionalProperties)}`;
  const types = [schema.type ?? 'anything'].flat();
  return escaped(types.map((type) => (type === 'string' ? (schema.format ?? type) : type)).join(' or '));
};

const members = (schema: JsonSchema): string => {
  const rows = Object.entries(schema.properties ?? {}).map(
    ([name, of]) =>
      `<tr><td>${code(name)}${schema.required?.includes(name) ? '' : ' <i>optional</i>'}</td><td>${words(of)}</td><td>${prose(of.description ?? '')}</td></tr>`,
  );
  return rows.length > 0
    ? `<table><thead><tr><th>member</th><th>value</th><th></th></tr></thead>${rows.join('')}</table>`
    : '';
};

const parameters = (all: readonly Parameter[]): string =>
  `<table><thead><tr><th>parameter</th><th>in</th><th>value</th><th></th></tr></thead>${all
    .map(
      (p) =>
        `<tr><td>${code(p.name)}${p.required ? '' : ' <i>optional</i>'}</td><td>${p.in}</td><td>${words(p.schema)}</td><td>${prose(p.description ?? '')}</td></tr>`,
    )
    .join('')}</table>`;

const curl = (method: string, path: string, o: Operation): string => {
  const filled = path.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const given = o.parameters?.find((p) => p.in === 'path' && p.name === name)?.example;
    return given === undefined ? whole : encodeURIComponent(String(given));
  });
  const query = (o.parameters ?? [])
    .filter((p) => p.in === 'query' && p.required)
    .map((p) => `${p.name}=${encodeURIComponent(String(p.example ?? ''))}`);
  const parts = [
    'curl',
    ...(method === 'get' ? [] : [`-X ${method.toUpperCase()}`]),
    ...(o.security.length > 0 ? ['-H "Authorization: Bearer $TOKEN"'] : []),
  ];
  for (const p of o.parameters ?? [])
    if (p.in === 'header' && p.example !== undefined && p.name !== 'Last-Event-ID')
      parts.push(`-H '${p.name}: ${p.example}'`);
  const [type, body] = Object.entries(o.requestBody?.content ?? {})[0] ?? [];
  if (body) parts.push(`-H 'Content-Type: ${type}'`, `-d '${JSON.stringify(body.example)}'`);
  parts.push(`'http://localhost:8000${filled}${query.length > 0 ? `?${query.join('&')}` : ''}'`);
  return parts.join(' ');
};

const operation = (method: string, path: string, o: Operation, responses: Readonly<Record<string, Answer>>): string => {
  const answers = Object.entries(o.responses).map(([status, given]) => {
    const answer = '$ref' in given ? responses[given.$ref.split('/').at(-1)!]! : given;
    const shown = Object.entries(answer.content ?? {}).map(([type, of]) => `${escaped(type)}: ${words(of.schema)}`);
    return `<tr><td>${status}</td><td>${escaped(answer.description)}</td><td>${shown.join('<br>')}</td></tr>`;
  });
  const good = Object.entries(o.responses).find(([status]) => status.startsWith('2'))?.[1];
  const example = good && 'content' in good ? Object.values(good.content ?? {})[0]?.example : undefined;
  return `<details class="operation" id="${escaped(o.operationId)}"><summary><b class="${method}">${method.toUpperCase()}</b> ${code(path)} <span>${prose(o.summary)}</span></summary>
<p>${prose(o.description ?? '')}</p><p>Scope: ${code(o['x-lockstep-scope'])}</p>${block(curl(method, path, o))}
${o.parameters ? parameters(o.parameters) : ''}${Object.values(o.requestBody?.content ?? {})
  .slice(0, 1)
  .map((c) => `<p>Body: ${words(c.schema)}</p>`)
  .join('')}
<table><thead><tr><th>status</th><th></th><th>body</th></tr></thead>${answers.join('')}</table>${example === undefined ? '' : block(JSON.stringify(example, undefined, 2))}</details>`;
};

/** The whole reference as one page that needs no script. */
export const docsPage = (document: Document): string => {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, o]) => ({ path, method, o })),
  );
  const sections = document.tags.map(
    ({ name, description }) =>
      `<section id="${escaped(name)}"><h2>${escaped(name)}</h2><p>${prose(description)}</p>${all
        .filter(({ o }) => o.tags[0] === name)
        .map(({ path, method, o }) => operation(method, path, o, document.components.responses))
        .join('')}</section>`,
  );
  const schemas = Object.entries(document.components.schemas)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, schema]) =>
        `<details id="schema-${escaped(name)}"><summary>${escaped(name)}</summary>${prose(schema.description ?? '')}${members(schema)}${schema.examples?.[0] === undefined ? '' : block(JSON.stringify(schema.examples[0], undefined, 2))}</details>`,
    );
  const navigation = document.tags.map(({ name }) => `<a href="#${escaped(name)}">${escaped(name)}</a>`).join(' ');
  return page(
    'Lockstep API',
    `<header><h1>Lockstep API</h1><p>${prose(String(document.info['description']))}</p><p>Version ${escaped(String(document.info['version']))} · <a href="/openapi.json">openapi.json</a> · <a href="/docs/errors">error codes</a></p><nav>${navigation} <a href="#schemas">schemas</a></nav></header><main>${sections.join('')}<section id="schemas"><h2>schemas</h2>${schemas.join('')}</section></main>`,
  );
};

/** Every code of a problem: where its `type` leads. */
export const errorsPage = (): string => {
  const rows = Object.entries({ ...requestCodes, ...meanings })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { status, title }]) => {
      const retry = name in errorCodes ? errorCodes[name as keyof typeof errorCodes].retry : undefined;
      const again = retry === 'now' || status === 429 ? 'may help' : retry === 'never' ? 'no' : 'after a fix';
      return `<tr id="${name}"><td>${code(name)}</td><td>${status}</td><td>${escaped(title)}</td><td>${again}</td></tr>`;
    });
  return page(
    'Lockstep: error codes',
    `<header><h1>Error codes</h1><p>The <code>code</code> of a problem, its status, and whether a repeat helps. <a href="/docs">API</a></p></header><main><table><thead><tr><th>code</th><th>status</th><th>meaning</th><th>a repeat</th></tr></thead>${rows.join('')}</table></main>`,
  );
};

export const docsStyle = `:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2563eb}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem}
nav{position:sticky;top:0;background:Canvas;padding:.5rem 0;border-bottom:1px solid var(--line)}nav a{margin-right:.75rem}
a{color:var(--accent)}h2{margin-top:2.5rem;text-transform:capitalize}section{scroll-margin-top:4rem}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.25rem .75rem;scroll-margin-top:4rem}
summary{cursor:pointer;padding:.35rem 0}summary span{opacity:.8}summary:focus-visible{outline:2px solid var(--accent)}
.operation b{display:inline-block;min-width:4.5rem}.get{color:#15803d}.post{color:#b45309}.patch{color:#7c3aed}.delete{color:#b91c1c}
@media(prefers-color-scheme:dark){.get{color:#4ade80}.post{color:#fbbf24}.patch{color:#c4b5fd}.delete{color:#f87171}:root{--accent:#93c5fd}}
table{border-collapse:collapse;display:block;overflow-x:auto;margin:.75rem 0}th,td{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;border-radius:6px}code{font-size:.92em;overflow-wrap:anywhere}tr:target,details:target{outline:2px solid var(--accent)}
`;

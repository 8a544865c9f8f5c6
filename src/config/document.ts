import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { redactUrls } from '../lib/redact.ts';
import { LockstepError } from '../model/errors.ts';
import type { ConfigDocument, Place } from './places.ts';

const secretKey =
  /^(\s*(?:-\s*)?["']?(?:[\w-]*(?:password|secret|token)[\w-]*|pwd)["']?\s*:\s*)(?!\s*["']?\$\{)(\S.*)$/i;
const inlineSecret =
  /([{,]\s*["']?(?:[\w-]*(?:password|secret|token)[\w-]*|pwd)["']?\s*:\s*)(?!\s*["']?\$\{)("[^"]*"|'[^']*'|[^,}]+)/gi;

const maskLine = (line: string): string =>
  redactUrls(line)
    .replace(secretKey, (_, head: string, value: string) => head + '*'.repeat(value.length))
    .replace(inlineSecret, (_, head: string, value: string) => head + '*'.repeat(value.length));

const frameOf = (source: string, place: Place, note?: string): readonly string[] => {
  const line = source.split(/\r?\n/)[place.line - 1] ?? '';
  const shown = maskLine(line).replaceAll('\t', ' ');
  const clean = shown.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  const number = String(place.line);
  // Masking may have made what stands before the caret shorter.
  const before = maskLine(line.slice(0, place.column - 1)).length;
  const caret = `${' '.repeat(before)}${'^'.repeat(Math.max(1, Math.min(place.length, clean.length - before)))}`;
  return [
    `  ${number} | ${clean}`,
    `  ${' '.repeat(number.length)} | ${caret}${note === undefined ? '' : `  ${note}`}`,
  ];
};

/** YAML 1.2 core schema; duplicate keys, tabs and syntax are errors with line, column and caret. */
export const parseConfigDocument = (file: string, source: string): ConfigDocument => {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, version: '1.2', uniqueKeys: true, prettyErrors: false });
  const placeOf = (range: readonly number[] | null | undefined): Place | undefined => {
    if (!range) return undefined;
    const { line, col } = lines.linePos(range[0]!);
    const text = source.slice(range[0], range[1]).split('\n')[0]!;
    return { line: Math.max(1, line), column: Math.max(1, col), length: Math.max(1, text.trimEnd().length) };
  };
  const error = document.errors[0] ?? document.warnings[0];
  if (error) {
    const at = placeOf([error.pos[0], error.pos[1]]) ?? { line: 1, column: 1, length: 1 };
    const here = source.split(/\r?\n/)[at.line - 1] ?? '';
    const reference = /(^|[^"'])\$\{/.test(here.replaceAll(/"[^"]*"|'[^']*'/g, ''));
    throw new LockstepError('CONFIG', `${file}:${at.line}:${at.column}: ${yamlMessage(error.code, error.message)}`, {
      details: frameOf(source, { ...at, length: 1 }, reference ? 'quote it' : undefined),
      hint: reference
        ? 'A reference must be quoted, because YAML reads braces itself: "${env:NAME}".'
        : yamlHint(error.code, here),
      cause: error,
    });
  }
  const value = document.toJS({ maxAliasCount: 100 }) as unknown;

  const place = (path: readonly PropertyKey[], of: 'key' | 'value' = 'value'): Place | undefined => {
    let node = document.contents as Node | null;
    let found = node ? placeOf(node.range) : undefined;
    for (const [i, step] of path.entries()) {
      if (isMap(node)) {
        const item = (node as YAMLMap).items.find(
          (p) => isPair(p) && isScalar(p.key) && String(p.key.value) === String(step),
        );
        if (!item) return found;
        const key = item.key as Node;
        node = item.value as Node | null;
        const last = i === path.length - 1;
        found = placeOf(last && of === 'value' && node?.range ? node.range : key.range) ?? found;
      } else {
        const child =
          node && 'items' in node
            ? ((node as { items: unknown[] }).items[Number(step)] as Node | undefined)
            : undefined;
        if (!child) return found;
        node = child;
        found = placeOf(child.range) ?? found;
      }
    }
    return found;
  };
  return { file, value, place, frame: (at, note) => frameOf(source, at, note) };
};

const yamlMessage = (code: string, message: string): string => {
  if (code === 'DUPLICATE_KEY') return 'this key is written twice';
  if (code === 'TAB_AS_INDENT') return 'a tab is used to indent';
  return message.replace(/ at line \d+, column \d+:?[\s\S]*$/, '');
};

const yamlHint = (code: string, line: string): string => {
  if (code === 'DUPLICATE_KEY') return 'Keep one of them.';
  if (code === 'TAB_AS_INDENT' || /^\s*\t/.test(line)) return 'YAML is indented with blanks only.';
  if (/:\s*[^"'\s{[][^#]*:\s/.test(line) || /[%@`]/.test(line)) return 'Quote values that hold ": ", %, @ or `.';
  return 'Check the indentation, brackets and quotes here.';
};

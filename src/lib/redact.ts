/**
 * Keeps secrets out of messages. URLs lose their passwords always; whole secrets that were resolved for this process
 * are masked wherever they occur. For messages only: results (cell values) are never changed.
 */
const urlPassword = /([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@'"`]*):([^\s'"`]*)@(?=[^\s@]*)/gi;
const parameter = /([?&;\s](?:password|passwd|pwd|token|secret|api[_-]?key|sslpassword)=)[^\s&;'"`]+/gi;

export const redactUrls = (text: string): string => text.replace(urlPassword, '$1:***@').replace(parameter, '$1***');

export interface Redactor {
  /** Registers a secret value; ones shorter than four characters are masked in URLs only. */
  add(secret: string): void;
  /** Registers what is no secret although a password may be the same, e.g. a user's name: masked in URLs only. */
  plain(name: string): void;
  redact(text: string): string;
}

export const redactor = (): Redactor => {
  const secrets = new Set<string>();
  const plain = new Set<string>();
  return {
    add: (secret) => {
      for (const form of [secret, encodeURIComponent(secret)]) if (form.length >= 4) secrets.add(form);
    },
    plain: (name) => void plain.add(name),
    redact: (text) => {
      let out = redactUrls(text);
      for (const secret of [...secrets].sort((a, b) => b.length - a.length))
        if (!plain.has(secret)) out = out.replaceAll(secret, '***');
      return out;
    },
  };
};

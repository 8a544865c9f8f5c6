/** One thing that is wrong in what was sent: a JSON pointer into the body, or `/query/…`. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

/** What a caller got wrong, by the codes of the API. Everything else is a LockstepError. */
export class RecordProblem extends Error {
  readonly code:
    | 'BODY'
    | 'PARAMETER'
    | 'CURSOR'
    | 'PRECONDITION_FAILED'
    | 'PRECONDITION_REQUIRED'
    | 'IDEMPOTENCY_KEY_REQUIRED'
    | 'METHOD_NOT_ALLOWED';
  readonly hint: string | undefined;
  readonly errors: readonly Fault[];
  constructor(code: RecordProblem['code'], detail: string, o: { hint?: string; errors?: readonly Fault[] } = {}) {
    super(detail);
    this.name = 'RecordProblem';
    this.code = code;
    this.hint = o.hint;
    this.errors = o.errors ?? [];
  }
}

/** All faults as one problem: 422 for a body, 400 for a parameter. */
export const faulty = (code: 'BODY' | 'PARAMETER', errors: readonly Fault[]): RecordProblem =>
  new RecordProblem(
    code,
    errors
      .map((e) => `${e.pointer || 'the body'}: ${e.detail}`)
      .join('; ')
      .slice(0, 2000),
    {
      errors,
    },
  );

/** A name as a step of a JSON pointer. */
export const pointer = (name: string): string => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;

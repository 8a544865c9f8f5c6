/** Thrown by `BulkRows.read`: a row holds what the form cannot say, so the rows are to be read as cells. */
export class NotInForm extends Error {
  override readonly name = 'NotInForm';
}

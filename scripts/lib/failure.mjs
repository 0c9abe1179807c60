/** A failure the person at the terminal can mend: printed as one sentence, never with a stack. */
export class Failure extends Error {
  name = 'Failure';
}

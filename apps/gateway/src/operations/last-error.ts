/** The last error that went to the log, for those who look at the gateways and not at their logs. */
export class LastError {
  #last: { readonly message: string; readonly at: Date } | undefined;

  get last(): { readonly message: string; readonly at: Date } | undefined {
    return this.#last;
  }

  note(message: string): void {
    this.#last = { message: message.slice(0, 500), at: new Date() };
  }
}

/** What is put under load and killed: installations of Postern, or a server that lies. */

export interface Target {
  readonly name: string;
  /** SMTP ports that clients may use now. */
  ports(): readonly number[];
  /** What may be killed, and how often relative to the others. */
  readonly victims: Readonly<Record<string, number>>;
  /** `kill -9`, and the way back. Resolves when it answers again. */
  kill(victim: string): Promise<void>;
  /** After the faults: is the audit what the next hop saw? Sentences about what is not. */
  audit(numbers: {
    readonly acknowledged: ReadonlySet<number>;
    readonly arrived: ReadonlySet<number>;
  }): Promise<readonly string[]>;
  stop(): Promise<void>;
}

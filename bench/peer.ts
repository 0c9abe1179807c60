import type { Scenario } from './scenario.js';

/** A mail server that can be measured: started once, idle while another is measured. */
export interface Peer {
  readonly name: string;
  start(scenario: Scenario, folder: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  readonly version: string;
  readonly port: number;
  /** Processor seconds used so far, by part of the product; each part includes its processes that have ended. */
  cpuSeconds(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

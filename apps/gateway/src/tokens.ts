/** Names under which the wiring knows what has no class of its own. */
import type { Listeners } from './inbound/listeners.js';

export const DATABASE = Symbol('database');
export const SERVER = Symbol('smtp server');
export const LISTENERS_REFERENCE = Symbol('listeners reference');

/** Listeners need the server, the server its hooks, and the relay the listeners: this breaks the circle. */
export interface ListenersReference {
  current: Listeners | undefined;
}

/**
 * The events of a socket, brought to whoever owns it at the moment: a connection, or what comes before one.
 *
 * The listeners are functions shared by all sockets and find their owner on the socket: ten thousand idle connections
 * hold no closures of their own (bench/idle.ts).
 */
import type { Socket } from 'node:net';

export interface WireOwner {
  onBytes(bytes: Buffer): void;
  /** What was written has left. */
  onDrain(): void;
  /** The other side will send no more: FIN, or the end of TLS. */
  onEnd(): void;
  onGone(): void;
}

const OWNER = Symbol('owner');
type OwnedSocket = Socket & { [OWNER]?: WireOwner | undefined };

function onData(this: OwnedSocket, bytes: Buffer): void {
  this[OWNER]?.onBytes(bytes);
}

function onDrain(this: OwnedSocket): void {
  this[OWNER]?.onDrain();
}

function onEnd(this: OwnedSocket): void {
  this[OWNER]?.onEnd();
}

function onError(this: OwnedSocket): void {
  this.destroy();
}

function onClose(this: OwnedSocket): void {
  this[OWNER]?.onGone();
}

/** From now on `owner` hears of the socket, which begins to flow. */
export function attach(socket: OwnedSocket, owner: WireOwner): void {
  socket[OWNER] = owner;
  socket.on('data', onData);
  socket.on('drain', onDrain);
  socket.on('end', onEnd);
  socket.on('error', onError);
  socket.on('close', onClose);
  if (socket.isPaused()) socket.resume();
}

/** Stops the flow; nobody hears of the socket any more. Errors still end it. */
export function detach(socket: OwnedSocket): void {
  socket[OWNER] = undefined;
  socket.off('data', onData);
  socket.off('drain', onDrain);
  socket.off('end', onEnd);
  socket.off('close', onClose);
  socket.pause();
}

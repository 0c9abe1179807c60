/**
 * Signed checkpoints: what a node says about the newest blocks it knows, from its memory and not from the database. A
 * chain that was cut behind a checkpoint, or rewritten from its beginning, no longer fits it. Each links to the one before.
 */
import { GENESIS, type ChainHead } from './chain.js';

export interface CheckpointBody {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Chains that grew since the node's last checkpoint, by chain. */
  readonly heads: readonly ChainHead[];
  /** Fingerprint of the key: SHA-256 of the public key (SPKI, DER), hex. */
  readonly key: string;
  readonly node: string;
  /** SHA-256 of the body before, hex; GENESIS for the first of a node. */
  readonly previous: string;
  /** Per node, from 1. */
  readonly sequence: number;
}

/** A checkpoint as it is stored and exported: exactly the octets that were signed, and the signature. */
export interface SignedCheckpoint {
  /** Canonical JSON of the body. */
  readonly body: string;
  /** Ed25519, base64. */
  readonly signature: string;
}

/** Canonical JSON: keys in order, heads by chain. */
export function checkpointText(body: CheckpointBody): string {
  const heads = [...body.heads]
    .sort((one, other) => (one.chain < other.chain ? -1 : 1))
    .map(({ chain, hash, id, sequence }) => ({ chain, hash, id, sequence }));
  const { atMs, key, node, previous, sequence } = body;
  return JSON.stringify({ atMs, heads, key, node, previous, sequence });
}

const HASH = /^[0-9a-f]{64}$/;

/** Undefined when the text is no checkpoint. Whether it is signed by somebody trusted is another question. */
export function readCheckpoint(body: string): CheckpointBody | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  return isBody(value) ? value : undefined;
}

function isBody(value: unknown): value is CheckpointBody {
  if (typeof value !== 'object' || value === null) return false;
  const body = value as Partial<Record<keyof CheckpointBody, unknown>>;
  const named = typeof body.node === 'string' && isHash(body.key) && isHash(body.previous);
  return named && isCount(body.sequence) && isCount(body.atMs) && Array.isArray(body.heads) && body.heads.every(isHead);
}

function isHead(value: unknown): value is ChainHead {
  if (typeof value !== 'object' || value === null) return false;
  const head = value as Partial<Record<keyof ChainHead, unknown>>;
  return typeof head.chain === 'string' && typeof head.id === 'string' && isCount(head.sequence) && isHash(head.hash);
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && HASH.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Place of the next checkpoint of a node whose last one was `last`. */
export function nextCheckpoint(last: { sequence: number; hash: string } | undefined): {
  sequence: number;
  previous: string;
} {
  return last === undefined ? { sequence: 1, previous: GENESIS } : { sequence: last.sequence + 1, previous: last.hash };
}

import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { Problem } from './problem.js';
import { contextOf } from './request-context.js';

const WINDOW_SECONDS = 10;
/** Keys remembered; a key that is forgotten begins with its whole quota. */
const MOST_KEYS = 10_000;

interface Bucket {
  left: number;
  atMs: number;
}

/** Requests that each API key may make: a bucket that holds the quota of a window and fills evenly. */
export class RequestQuota {
  readonly quota: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(
    private readonly perSecond: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.quota = perSecond * WINDOW_SECONDS;
  }

  /** Takes one, if there is one. `left` is what remains, `resetSeconds` when the bucket is full or has one again. */
  take(key: string): { readonly ok: boolean; readonly left: number; readonly resetSeconds: number } {
    const nowMs = this.nowMs();
    const bucket = this.#buckets.get(key) ?? { left: this.quota, atMs: nowMs };
    bucket.left = Math.min(this.quota, bucket.left + ((nowMs - bucket.atMs) / 1000) * this.perSecond);
    bucket.atMs = nowMs;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    this.#trim();
    const ok = bucket.left >= 1;
    if (ok) bucket.left -= 1;
    const missing = ok ? this.quota - bucket.left : 1 - bucket.left;
    return { ok, left: Math.floor(bucket.left), resetSeconds: Math.max(1, Math.ceil(missing / this.perSecond)) };
  }

  #trim(): void {
    if (this.#buckets.size <= MOST_KEYS) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

/** Headers of draft-ietf-httpapi-ratelimit-headers on every answer to a key; 429 when its quota is used up. */
export function rateLimit(quota: RequestQuota): RequestHandler {
  const policy = `"key";q=${String(quota.quota)};w=${String(WINDOW_SECONDS)}`;
  return (request: Request, response: Response, next: NextFunction): void => {
    const { principal } = contextOf(request);
    if (principal === undefined) {
      next();
      return;
    }
    const { ok, left, resetSeconds } = quota.take(principal.keyId);
    response.set({ 'RateLimit-Policy': policy, RateLimit: `"key";r=${String(left)};t=${String(resetSeconds)}` });
    if (ok) next();
    else
      next(
        new Problem('too-many-requests', 'this API key has used up its requests', [], {
          'Retry-After': String(resetSeconds),
        }),
      );
  };
}

/**
 * When a message that could not be delivered is tried again. Pure: time and randomness are arguments.
 *
 * Delays grow by the profile's factor up to its longest and are then shortened by up to a fifth at random, so that mail
 * deferred together does not come back together. The last attempt falls on the give-up age itself, never after it.
 */
import type { RetryProfile } from './route.js';

const JITTER = 0.2;

/** Milliseconds to wait after attempt number `attempts` (from 1), before jitter. Never decreases, at most `longestMs`. */
export function retryDelayMs(profile: RetryProfile, attempts: number): number {
  const delayMs = profile.firstMs * profile.factor ** Math.max(0, attempts - 1);
  return Math.min(Math.max(delayMs, profile.firstMs), Math.max(profile.longestMs, profile.firstMs));
}

export interface RetrySituation {
  /** Attempts made, the one that just failed included. */
  readonly attempts: number;
  readonly acceptedAtMs: number;
  readonly nowMs: number;
}

/** Milliseconds since the epoch of the next attempt; undefined when the message has reached its age and is given up. */
export function nextAttemptAtMs(
  profile: RetryProfile,
  situation: RetrySituation,
  random: () => number,
): number | undefined {
  const giveUpAtMs = situation.acceptedAtMs + profile.giveUpMs;
  if (situation.nowMs >= giveUpAtMs) return undefined;
  const delayMs = retryDelayMs(profile, situation.attempts) * (1 - JITTER * random());
  return Math.min(Math.ceil(situation.nowMs + delayMs), giveUpAtMs);
}

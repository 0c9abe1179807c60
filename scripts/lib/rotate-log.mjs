import { copyFileSync, statSync, truncateSync } from 'node:fs';

const MAX_LOG_BYTES = 50_000_000;

/** Every writer appends, so a log can be copied away and cut while it is written; lines in between may be lost. */
export function rotateLog(file) {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < MAX_LOG_BYTES) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file, 0);
}

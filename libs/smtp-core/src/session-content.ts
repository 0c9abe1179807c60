/**
 * Content on its way into a session: BDAT and its chunks, and what is said when content has been read.
 * RFC 5321 s4.1.1.4; RFC 3030 s2.
 *
 * After a refused chunk the client may have more of them in flight; they are swallowed and refused up to RSET or the
 * one marked LAST. A message is never accepted without its first chunk.
 */
import type { Cell } from './phase-table.js';
import { replyFor } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import { unmetDemand } from './session-demands.js';
import { NO_FAULTS } from './session-rules.js';
import type { Chunk, SessionState } from './session-state.js';
import type { SessionVoice } from './session-voice.js';

/** BDAT. `cell` is what the phase says of it; whatever is said of it, its octets are read. */
export function receiveChunk(chunk: Chunk, cell: Cell, state: SessionState, voice: SessionVoice): void {
  const key = cell === 'handle' ? unmetDemand(chunk, state) : cell;
  if (key !== undefined) {
    if (state.spoiled) state.spoiled = !chunk.last;
    if (key === 'need-reset' || NO_FAULTS.has(key)) state.tally.countIdle();
    else state.tally.errors += 1;
    swallow(chunk, replyFor(key), state, voice);
  } else if (!state.intake.chunkFits(chunk.sizeBytes)) {
    const refusal = voice.named(replyFor('message-too-big'));
    state.spoiled = !chunk.last;
    voice.endTransaction('content-refused', refusal);
    swallow(chunk, refusal, state, voice);
  } else if (state.intake.inChunks) beginChunk(chunk, state, voice);
  else {
    state.firstChunk = chunk;
    voice.ask({ kind: 'data' });
  }
}

/** `data` was refused for the first chunk. The transaction stays, as it does when DATA is refused. */
export function refuseFirstChunk(chunk: Chunk, refusal: Reply, state: SessionState, voice: SessionVoice): void {
  state.spoiled = !chunk.last;
  swallow(chunk, refusal, state, voice);
}

export function beginChunk(chunk: Chunk, state: SessionState, voice: SessionVoice): void {
  // A chunk of nothing moves no mail.
  if (chunk.sizeBytes === 0 && !chunk.last) state.tally.countIdle();
  state.intake.beginChunk(chunk.sizeBytes, chunk.last);
  takeContent(state, voice);
}

function swallow(chunk: Chunk, refusal: Reply, state: SessionState, voice: SessionVoice): void {
  if (state.intake.canSwallow(chunk.sizeBytes)) {
    state.intake.beginSwallowing(chunk.sizeBytes, refusal);
    takeContent(state, voice);
  } else {
    state.tally.errors += 1;
    voice.close('protocol-error', refusal);
  }
}

/** Says what is to be said about content once `intake` has read some. */
export function takeContent(state: SessionState, voice: SessionVoice): void {
  const { intake } = state;
  switch (intake.event) {
    case 'more':
      return;
    case 'content-ended':
      takeEnd(intake.refusal, state, voice);
      return;
    case 'chunk-ended':
      state.spoiled = intake.refusal !== undefined;
      if (intake.refusal === undefined) voice.replyUnlessTooMany(replyFor('chunk-ok'));
      else refuseContent(intake.refusal, voice);
      return;
    case 'swallowed': {
      const { refusal } = intake;
      intake.clear();
      if (refusal !== undefined) voice.replyUnlessTooMany(refusal);
      return;
    }
    case 'unended': {
      const refusal = intake.refusal === undefined ? undefined : voice.named(intake.refusal);
      voice.endTransaction('content-refused', refusal);
      voice.close('protocol-error', refusal);
      return;
    }
  }
}

function takeEnd(refusal: Reply | undefined, state: SessionState, voice: SessionVoice): void {
  const { sizeBytes } = state.intake;
  if (refusal === undefined) {
    state.intake.clear();
    voice.ask({ kind: 'message', sizeBytes });
  } else refuseContent(refusal, voice);
}

function refuseContent(given: Reply, voice: SessionVoice): void {
  const refusal = voice.named(given);
  voice.endTransaction('content-refused', refusal);
  voice.reply(refusal);
}

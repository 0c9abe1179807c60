/**
 * Carries out commands that fit their moment: asks, replies, ends. RFC 5321 s4.1.1; RFC 3207 s4; RFC 4954 s4.
 */
import type { Command } from './command.js';
import { replyFor } from './reply-catalogue.js';
import { SaslDialog, readInitialResponse } from './sasl-dialog.js';
import type { SaslResponse } from './sasl-dialog.js';
import { unmetDemand } from './session-demands.js';
import type { SessionState } from './session-state.js';
import type { SessionVoice } from './session-voice.js';

export function carryOut(command: Command, state: SessionState, voice: SessionVoice): void {
  const demand = unmetDemand(command, state);
  if (demand !== undefined) {
    voice.fail(demand);
    return;
  }
  switch (command.verb) {
    case 'EHLO':
    case 'HELO':
      voice.ask({ kind: 'helo', verb: command.verb, domain: command.domain });
      return;
    case 'MAIL':
      voice.ask({ kind: 'mail', reversePath: command.reversePath, params: command.params });
      return;
    case 'RCPT':
      if ((state.transaction?.recipients ?? 0) >= state.limits.maxRecipients) voice.fail('too-many-recipients');
      else voice.ask({ kind: 'rcpt', forwardPath: command.forwardPath, params: command.params });
      return;
    case 'DATA':
      voice.ask({ kind: 'data' });
      return;
    case 'QUIT':
      voice.close('quit', replyFor('goodbye'));
      return;
    case 'RSET':
      voice.endTransaction('reset');
      state.spoiled = false;
      voice.reply(replyFor('reset-ok'));
      return;
    case 'STARTTLS':
      state.awaitingTls = true;
      voice.startTls();
      return;
    case 'AUTH':
      startAuth(command, state, voice);
      return;
    case 'XCLIENT':
      voice.ask({ kind: 'xclient', attributes: command.attributes });
      return;
    default:
      // INVARIANT (total): the phase table answers every other verb itself.
      throw new Error(`no way to handle \`${command.verb}\``);
  }
}

function startAuth(command: Extract<Command, { verb: 'AUTH' }>, state: SessionState, voice: SessionVoice): void {
  const initial = readInitialResponse(command.response);
  if (!initial.ok) {
    voice.fail(initial.fault);
    return;
  }
  const { mechanism } = command;
  state.sasl = new SaslDialog(mechanism, state.limits.maxAuthLineBytes);
  voice.ask({ kind: 'auth', mechanism, step: 'start', response: initial.response });
}

/** A line of an exchange that has begun. */
export function continueAuth(sasl: SaslDialog, read: SaslResponse, state: SessionState, voice: SessionVoice): void {
  if (read.ok) {
    voice.ask({ kind: 'auth', mechanism: sasl.mechanism, step: 'continue', response: read.response });
    return;
  }
  state.sasl = undefined;
  if (read.fault === 'bad-line-end') voice.violate(read.fault);
  else voice.fail(read.fault);
}

/** A job as it is offered to a next hop: envelope, parameters of RFC 3461, and whether the header needs SMTPUTF8. Pure. */
import type { Job } from './job.js';
import type { OutboundMessage, QueuedMessage, RecipientWishes } from './ports.js';
import { headerOf } from './returned-header.js';

const MULTIPART = /^content-type:\s*(?:multipart|message)\//im;
const NO_WISHES: RecipientWishes = {};

export function outboundMessage({ message, recipients }: Job): OutboundMessage {
  const { sender, content, sizeBytes, body8bit, ret, envelopeId } = message;
  const addresses = recipients.map(({ address }) => address);
  const plain = { sender, recipients: addresses, content, sizeBytes, body8bit };
  const asked = recipients.some(({ notify, originalRecipient }) => (notify ?? originalRecipient) !== undefined);
  if (!asked && ret === undefined && envelopeId === undefined && message.smtpUtf8 !== true) return plain;
  return {
    ...plain,
    ...(needsSmtpUtf8(message) ? { smtpUtf8: true } : {}),
    ...(ret === undefined ? {} : { ret }),
    ...(envelopeId === undefined ? {} : { envelopeId }),
    ...(asked ? { recipientParameters: recipients.map(wishesOf) } : {}),
  };
}

function wishesOf({ notify, originalRecipient }: RecipientWishes): RecipientWishes {
  if (notify === undefined && originalRecipient === undefined) return NO_WISHES;
  return {
    ...(notify === undefined ? {} : { notify }),
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
  };
}

/**
 * Clients ask for SMTPUTF8 also where nothing needs it; such a message may go to any host. In doubt it is needed: for
 * content that is not in memory, and for parts whose headers may be UTF-8 too. Addresses are the client machine's to see.
 */
function needsSmtpUtf8({ smtpUtf8, body8bit, content }: QueuedMessage): boolean {
  if (smtpUtf8 !== true || !body8bit) return false;
  if (content.kind !== 'inline') return true;
  const header = headerOf(content.bytes);
  return header.some((octet) => octet > 127) || MULTIPART.test(header.toString('latin1'));
}

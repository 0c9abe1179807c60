import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Transcript } from '../support/transcript.js';
import { readTranscripts } from '../support/transcript.js';
import { byteByByte, playOnMachine, whole } from '../support/transcript-players.js';
import type { Cut } from '../support/transcript-players.js';
import { Observations } from '../support/transcript-seen.js';
import { answeredBySmtpNet, canPlayOverTcp, listenFor, playOverTcp } from '../support/transcript-tcp.js';

const transcripts = readTranscripts(import.meta.dirname);

/** Cuts at the given places, taken modulo the length. */
function cutAt(places: readonly number[]): Cut {
  return (octets) => {
    const sorted = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b);
    const edges = [0, ...sorted, octets.length];
    return edges.slice(1).map((end, at) => octets.subarray(edges[at], end));
  };
}

async function playOnServer(transcript: Transcript, cut: Cut): Promise<void> {
  const seen = new Observations(transcript, answeredBySmtpNet);
  const server = await listenFor(transcript, seen);
  try {
    await playOverTcp(transcript, server, cut, seen);
  } finally {
    await server.close();
  }
  expect(server.bugs).toEqual([]);
}

describe('transcripts', () => {
  it('name an RFC section or say whose rule they show', () => {
    const nameless = transcripts.filter(({ title }) => !/RFC \d+|deviation|limit/i.test(title));
    expect(nameless.map(({ file }) => file)).toEqual([]);
    expect(transcripts.length).toBeGreaterThanOrEqual(200);
  });

  describe.each(transcripts.map((transcript) => [transcript.file, transcript] as const))('%s', (_, transcript) => {
    it('on the machine, whole', () => {
      playOnMachine(transcript, whole);
    });

    it('on the machine, whole, with late answers', () => {
      playOnMachine(transcript, whole, true);
    });

    // Some transcripts show what may not wait in flight; cut apart they would show something else.
    if (transcript.directives.get('play') !== 'whole') {
    it('on the machine, byte by byte', () => {
      playOnMachine(transcript, byteByByte);
    });

    it('on the machine, under random splits', () => {
      fc.assert(
        fc.property(fc.array(fc.nat({ max: 200 }), { maxLength: 8 }), fc.boolean(), (places, late) => {
          playOnMachine(transcript, cutAt(places), late);
        }),
        { numRuns: 25 },
      );
    });

    }

    if (canPlayOverTcp(transcript)) {
      it('over TCP', async () => {
        await playOnServer(transcript, whole);
      });
    }

    if (canPlayOverTcp(transcript) && transcript.directives.get('play') !== 'whole') {
      it('over TCP, in pieces', async () => {
        await playOnServer(transcript, (octets) => (octets.length < 200 ? byteByByte(octets) : cutAt([97, 199])(octets)));
      });
    }
  });
});

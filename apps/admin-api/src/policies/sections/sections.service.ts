import { Inject, Injectable } from '@nestjs/common';
import type { LivePolicy } from '#database';
import { policySection, readPolicy, sectionEntries } from '#policy';
import { readCursor, writeCursor } from '../../http/page.js';
import type { PageQuery } from '../../http/page.dto.js';
import { checkPrecondition } from '../../http/conditional.js';
import { Problem } from '../../http/problem.js';
import type { Shown } from '../../http/shown.js';
import { patchAside } from '../../policy-aside.js';
import { LivePolicyReader, noPolicy } from '../live-policy-reader.js';
import { inOwnLayout } from '../own-layout.js';
import { PublishingService, stateOfLive, type LiveChange, type Published } from '../publishing.service.js';
import type { SectionEntryDto, SectionPageDto } from './section.dto.js';
import { entryNamed, type SectionEdit } from './section-edits.js';

/** Entries of the live policy, one by one. Every change is a new revision, examined and released like any other. */
@Injectable()
export class SectionsService {
  constructor(
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
    @Inject(PublishingService) private readonly publishing: PublishingService,
  ) {}

  async list(name: string, query: PageQuery): Promise<Shown<SectionPageDto>> {
    const live = await this.live();
    const entries = sectionEntries(documentOf(live), policySection(name));
    const after = readCursor(query.after, (text) => text !== '');
    const from = after === undefined ? 0 : entries.findIndex((entry) => entry.name === after) + 1;
    if (after !== undefined && from === 0) {
      throw new Problem('conflict', `\`${after}\`, which \`after\` stands for, is there no longer; begin again`);
    }
    const data = entries.slice(from, from + query.limit);
    const isEnd = from + data.length >= entries.length;
    const body = { data: [...data], ...(!isEnd && { next: writeCursor(data.at(-1)?.name ?? '') }) };
    return { body, state: stateOfLive(live) ?? '' };
  }

  async get(section: string, name: string): Promise<Shown<SectionEntryDto>> {
    const live = await this.live();
    const { pointer, value } = entryNamed(documentOf(live), policySection(section), name);
    return { body: { name, pointer, value }, state: stateOfLive(live) ?? '' };
  }

  async change(section: string, change: LiveChange, edit: SectionEdit): Promise<Published> {
    const live = await this.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const steps = edit(documentOf(live), policySection(section));
    const edited = await patchAside(live.source, steps);
    if (!edited.ok) throw new Error('a step that was made for this document does not fit it');
    return this.publishing.publish({
      ...change,
      // What was read here is what must still be live.
      condition: { kind: 'one-of', states: [stateOfLive(live) ?? ''] },
      source: steps.length === 0 ? live.source : inOwnLayout(live.source, edited),
    });
  }

  private async live(): Promise<LivePolicy> {
    const live = await this.reader.live();
    if (live === undefined) throw noPolicy();
    return live;
  }
}

function documentOf(live: LivePolicy): unknown {
  const read = readPolicy(live.source);
  if (read.ok) return read.document;
  throw new Problem(
    'conflict',
    `the live policy, revision ${live.revision}, is not understood by this version; publish one that is`,
  );
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { contentFacts, StructureScanner } from '#mime';
import {
  buildManagedList,
  checkListEntry,
  createSnapshot,
  explainTransaction,
  FACTS,
  parseAddress,
  readGivenFacts,
  type CompiledPolicy,
  type Facts,
  type ManagedList,
} from '#policy';
import type { Fields } from '../http/fields.js';
import { pointer, Problem, type ProblemError } from '../http/problem.js';
import { invalidRequest } from '../http/validation.js';
import { policyDigest } from '../policies/digest.js';
import { DraftsService } from '../policies/drafts/drafts.service.js';
import { refusal } from '../policies/examine.js';
import { LivePolicyReader, noPolicy } from '../policies/live-policy-reader.js';
import { PoliciesService } from '../policies/policies.service.js';
import { compileAside } from '../policy-aside.js';
import { PresentLists } from './present-lists.js';
import type {
  SimulatedByDto,
  SimulatedCaseDto,
  SimulationCaseDto,
  SimulationDto,
  SimulationRequest,
} from './simulation.dto.js';
import { simulatedCase } from './simulation.js';

/** Of one answer: a policy of thousands of rules has as many steps for each recipient. */
const MOST_STEPS = 100_000;
const MOST_RECIPIENTS = 100;

interface Asked {
  readonly policy: CompiledPolicy;
  readonly by: Omit<Fields<SimulatedByDto>, 'lists'>;
  readonly isLive: boolean;
}

interface Judged {
  readonly facts: Facts;
  readonly recipients: readonly Facts[];
  readonly lists: ReadonlyMap<string, ManagedList>;
}

/** Asks a policy about mail that nobody sent. Reads only: nothing is stored, recorded, counted or sent. */
@Injectable()
export class SimulationsService {
  constructor(
    @Inject(PoliciesService) private readonly policies: PoliciesService,
    @Inject(DraftsService) private readonly drafts: DraftsService,
    @Inject(LivePolicyReader) private readonly live: LivePolicyReader,
    @Inject(PresentLists) private readonly present: PresentLists,
  ) {}

  async simulate(request: SimulationRequest): Promise<SimulationDto> {
    const { policy, by, isLive } = await this.asked(request);
    const lists = await this.present.of(policy, isLive);
    // All are read before any is judged: what is wrong with them is told at once.
    const judged = readCases(policy, lists, request.cases);
    const withSteps = request.steps ?? true;
    const compiledAt = new Date().toISOString();
    const cases: Fields<SimulatedCaseDto>[] = [];
    let steps = 0;
    for (const [index, { facts, recipients, lists: own }] of judged.entries()) {
      const snapshot = createSnapshot(policy, own, { compiledAt });
      const explanation = explainTransaction(snapshot, { time: compiledAt, ...facts }, recipients, true);
      steps += explanation.steps.length + explanation.recipientSteps.flat().length;
      if (withSteps && steps > MOST_STEPS) throw tooManySteps();
      const name = request.cases[index]?.name;
      cases.push(simulatedCase({ name, facts: shownFacts(facts, recipients), explanation, withSteps }));
      await nextTurn();
    }
    const revisions = Object.fromEntries([...lists].map(([name, list]) => [name, list.revision]));
    return { decidedBy: { ...by, lists: revisions }, cases };
  }

  private async asked({ revision, draft, document }: SimulationRequest): Promise<Asked> {
    const named = Object.entries({ revision, draft, document }).filter(([, value]) => value !== undefined);
    const [, second] = named;
    if (second !== undefined) {
      const message =
        '`revision`, `draft` and `document` exclude each other, expected one of them, or none for the live policy';
      throw invalidRequest([{ code: 'invalid-field', pointer: pointer([second[0]]), message }]);
    }
    if (draft !== undefined) return this.written((await this.drafts.find(draft)).source);
    if (document !== undefined) return this.written(document);
    const live = await this.live.live();
    if (revision === undefined && live === undefined) throw noPolicy();
    const found = await this.policies.revisionOrLive(revision);
    const isLive = found.revision === live?.revision;
    const policy = isLive ? await this.live.compiled() : await compiled(found.source, found.revision);
    return { policy, by: { policy: policy.name, revision: found.revision, digest: found.digest }, isLive };
  }

  private async written(source: string): Promise<Asked> {
    const result = await compileAside(source);
    if (!result.ok) throw refusal(result.findings);
    const { policy } = result;
    return { policy, by: { policy: policy.name, revision: 0, digest: policyDigest(source) }, isLive: false };
  }
}

async function compiled(source: string, revision: number): Promise<CompiledPolicy> {
  const result = await compileAside(source);
  if (result.ok) return result.policy;
  throw new Problem('conflict', `revision ${revision} of the policy is not understood by this version`);
}

function tooManySteps(): Problem {
  const message = `the explanation has more than ${MOST_STEPS} steps, expected fewer cases, or \`steps: false\``;
  return invalidRequest([{ code: 'invalid-field', pointer: '/steps', message }]);
}

function readCases(
  policy: CompiledPolicy,
  present: ReadonlyMap<string, ManagedList>,
  cases: readonly SimulationCaseDto[],
): readonly Judged[] {
  const errors: ProblemError[] = [];
  const judged = cases.map((one, index): Judged => {
    const at = (...path: readonly (string | number)[]): string => pointer(['cases', index, ...path]);
    const fault = (where: string, message: string): void => {
      errors.push({ code: 'invalid-field', pointer: where, message });
    };
    const given = readGivenFacts(policy, one.given);
    if (!given.ok) for (const { fact, message } of given.faults) fault(at('given', fact), message);
    const { facts, recipients } = given.ok ? given : { facts: {}, recipients: [] };
    if (recipients.length > MOST_RECIPIENTS)
      fault(at('given', 'recipient'), `expected at most ${MOST_RECIPIENTS} recipients`);
    const lists = listsOf(policy, present, one, (name, message) => {
      fault(at('lists', name), message);
    });
    const content = messageOf(one, (message) => {
      fault(at('message'), message);
    });
    return { facts: { ...factsOf(policy, content), ...facts }, recipients, lists };
  });
  if (errors.length > 0) throw invalidRequest(errors);
  return judged;
}

function listsOf(
  policy: CompiledPolicy,
  present: ReadonlyMap<string, ManagedList>,
  { lists = {} }: SimulationCaseDto,
  fault: (name: string, message: string) => void,
): ReadonlyMap<string, ManagedList> {
  const own = new Map(present);
  for (const [name, members] of Object.entries(lists)) {
    const list = policy.managedLists.find((each) => each.name === name);
    if (list === undefined) {
      fault(name, `the policy has no managed list \`${name}\``);
      continue;
    }
    if (!Array.isArray(members)) {
      fault(name, 'expected a list of texts');
      continue;
    }
    const checked = members.map((member) => checkListEntry(policy, name, String(member)));
    const values = checked.flatMap((each) => (each.ok ? [each.value] : []));
    for (const message of checked.flatMap((each) => (each.ok ? [] : [each.message]))) fault(name, message);
    own.set(name, buildManagedList(list.type, name, 0, values));
  }
  return own;
}

/** The octets of the message, when there is one. */
function messageOf({ message }: SimulationCaseDto, fault: (message: string) => void): Buffer | undefined {
  if (message === undefined) return undefined;
  const { text, base64 } = message;
  if ((text === undefined) === (base64 === undefined)) {
    fault('expected either `text` or `base64`');
    return undefined;
  }
  return base64 === undefined ? Buffer.from((text ?? '').replace(/\r?\n/gu, '\r\n')) : Buffer.from(base64, 'base64');
}

/** What needs a look-up (DKIM, DMARC, ARC) is not looked up: it is given, or absent. */
const LOOKED_UP: ReadonlySet<string> = new Set(FACTS.flatMap(({ name, fetched }) => (fetched === true ? [name] : [])));

function factsOf({ contentFacts: wanted }: CompiledPolicy, content: Buffer | undefined): Facts {
  if (content === undefined) return {};
  const readable = new Set([...(wanted ?? [])].filter((name) => !LOOKED_UP.has(name)));
  const scanner = new StructureScanner({ structure: [...readable].some((name) => name.startsWith('attachment.')) });
  scanner.write(content);
  return contentFacts(readable, { report: scanner.report(), sizeBytes: content.length, readAddress });
}

function readAddress(written: string): string | undefined {
  const address = parseAddress(written);
  return address.ok ? address.address : undefined;
}

/** Facts of one recipient beside those of the transaction; of several, each has its own. */
function shownFacts(facts: Facts, recipients: readonly Facts[]): Facts {
  const [only] = recipients;
  return recipients.length === 1 ? { ...facts, ...only } : facts;
}

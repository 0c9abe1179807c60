import { Inject, Injectable } from '@nestjs/common';
import {
  accountName,
  generatePassword,
  PASSWORD_LENGTH,
  preparePassword,
  type AccountResult,
  type SmtpAccount,
} from '#database';
import { parseAddress } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import type { Change, ConditionalChange } from '../http/change.decorator.js';
import { checkPrecondition, stale } from '../http/conditional.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import type { Shown } from '../http/shown.js';
import { futureTime } from '../lists/lists.service.js';
import type {
  AccountDto,
  AccountPageDto,
  AccountPatch,
  AccountWithPasswordDto,
  NewAccountRequest,
} from './account.dto.js';

/** Accounts that SMTP clients sign in with. */
@Injectable()
export class AccountsService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(query: PageQuery): Promise<AccountPageDto> {
    const after = readCursor(query.after, (text) => accountName(text) === text);
    const page = await this.database.current.accounts.list({
      limit: query.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(accountDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async one(rawName: string): Promise<Shown<AccountDto>> {
    return shown(await this.#found(rawName));
  }

  async create(request: NewAccountRequest, { actor, reason, dryRun }: Change): Promise<Shown<AccountWithPasswordDto>> {
    const name = accountName(request.name);
    if (name === undefined) {
      const message = 'expected letters, digits and `. _ + @ -`, beginning and ending with a letter or digit';
      throw refused(message, '/name');
    }
    const password = passwordFor(name, request.password);
    const result = await this.database.current.accounts.create({
      name,
      password,
      identities: canonicalIdentities(request.identities ?? []),
      disabled: request.disabled ?? false,
      ...(request.note !== undefined && { note: request.note }),
      ...(request.expires !== undefined && { expiresAt: futureTime(request.expires, '/expires') }),
      actor,
      ...(reason !== undefined && { reason }),
      ...(dryRun !== undefined && { dryRun }),
    });
    // One that was only made to try is worth nothing.
    const isMade = request.password === undefined && dryRun === undefined;
    return withPassword(shown(settled(result, name)), isMade ? password : undefined);
  }

  async change(rawName: string, patch: AccountPatch, change: ConditionalChange): Promise<Shown<AccountDto>> {
    const { name, given } = await this.#expected(rawName, change);
    const { identities, note, expires, disabled } = patch;
    const result = await this.database.current.accounts.update(
      name,
      {
        ...(identities !== undefined && { identities: canonicalIdentities(identities) }),
        ...(note !== undefined && { note }),
        ...(expires !== undefined && { expiresAt: expires === null ? null : futureTime(expires, '/expires') }),
        ...(disabled !== undefined && { disabled }),
      },
      given,
    );
    return shown(settled(result, name));
  }

  async setPassword(
    rawName: string,
    asked: string | undefined,
    change: ConditionalChange,
  ): Promise<Shown<AccountWithPasswordDto>> {
    const { name, given } = await this.#expected(rawName, change);
    const password = passwordFor(name, asked);
    const result = await this.database.current.accounts.setPassword(name, password, given);
    const isMade = asked === undefined && given.dryRun === undefined;
    return withPassword(shown(settled(result, name)), isMade ? password : undefined);
  }

  async remove(rawName: string, change: ConditionalChange): Promise<void> {
    const { name, given } = await this.#expected(rawName, change);
    settled(await this.database.current.accounts.remove(name, given), name);
  }

  async #found(rawName: string): Promise<SmtpAccount> {
    const name = accountName(rawName);
    const account = name === undefined ? undefined : await this.database.current.accounts.get(name);
    if (account === undefined) throw noAccount(rawName);
    return account;
  }

  /** The account as the caller says to have read it; the store checks again, in its transaction. */
  async #expected(
    rawName: string,
    { condition, actor, reason, dryRun }: ConditionalChange,
  ): Promise<{ name: string; given: { actor: string; reason?: string; ifRevision?: number; dryRun?: boolean } }> {
    const { name, revision } = await this.#found(rawName);
    checkPrecondition(condition, String(revision));
    const given = { actor, ...(reason !== undefined && { reason }), ...(dryRun !== undefined && { dryRun }) };
    return { name, given: condition.kind === 'any' ? given : { ...given, ifRevision: revision } };
  }
}

function settled(result: AccountResult, name: string): SmtpAccount {
  if (result.ok) return result.account;
  switch (result.fault) {
    case 'exists':
      throw new Problem('conflict', `there is an account \`${name}\` already`);
    case 'no-such-account':
      throw noAccount(name);
    case 'stale':
      throw stale();
  }
}

/** Never says the password, nor how it differs from one that would do. */
function passwordFor(name: string, asked: string | undefined): string {
  if (asked === undefined) return generatePassword();
  const prepared = preparePassword(asked);
  const { least, most } = PASSWORD_LENGTH;
  const length = Array.from(prepared ?? '').length;
  if (prepared === undefined || length < least || length > most) {
    throw refused(`expected ${String(least)} to ${String(most)} printable characters`, '/password');
  }
  if (prepared.toLowerCase().includes(name) && length < name.length + least) {
    throw refused('expected a password that is not made of the name', '/password');
  }
  return asked;
}

function canonicalIdentities(texts: readonly string[]): readonly string[] {
  const identities = texts.map((text, index) => {
    const read = parseAddress(text, true);
    if (read.ok) return read.address;
    throw refused(`${read.message}, or \`*@domain\``, `/identities/${String(index)}`);
  });
  return [...new Set(identities)];
}

function refused(message: string, pointer: string): Problem {
  return new Problem('value-refused', message, [{ code: 'value-refused', pointer, message }]);
}

function noAccount(name: string): Problem {
  return new Problem('not-found', `there is no account \`${name.slice(0, 128)}\``);
}

function shown(account: SmtpAccount): Shown<AccountDto> {
  return { body: accountDto(account), state: String(account.revision) };
}

function withPassword({ body, state }: Shown<AccountDto>, password: string | undefined): Shown<AccountWithPasswordDto> {
  return { body: { ...body, ...(password !== undefined && { password }) }, state };
}

function accountDto(account: SmtpAccount): Fields<AccountDto> {
  return {
    name: account.name,
    identities: account.identities,
    ...(account.note !== undefined && { note: account.note }),
    disabled: account.disabledAt !== undefined,
    ...(account.disabledAt !== undefined && { disabledAt: account.disabledAt.toISOString() }),
    ...(account.expiresAt !== undefined && { expires: account.expiresAt.toISOString() }),
    passwordSetAt: account.passwordSetAt.toISOString(),
    createdAt: account.createdAt.toISOString(),
    createdBy: account.createdBy,
    updatedAt: account.updatedAt.toISOString(),
    updatedBy: account.updatedBy,
  };
}

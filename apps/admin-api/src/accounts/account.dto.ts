import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsOptional,
  IsRFC3339,
  IsString,
  MaxLength,
  ValidateIf,
} from 'class-validator';
import { PASSWORD_LENGTH } from '#database';

const MAX_NAME_LENGTH = 128;
const MAX_IDENTITIES = 100;
const MAX_ADDRESS_LENGTH = 320;
const MAX_TEXT_LENGTH = 500;

const IDENTITIES =
  'Addresses that `senders: own-identities` of the policy lets it send as; `*@example.com` is every address of a domain.';
const PASSWORD = `${String(PASSWORD_LENGTH.least)} to ${String(PASSWORD_LENGTH.most)} characters. Without it one is made, and answered this once.`;
const TIME = { message: '$property must be a time such as `2026-12-31T12:00:00Z`' };
const TEXT_OR_NULL = { oneOf: [{ type: 'string', maxLength: MAX_TEXT_LENGTH }, { type: 'null' }] };
const TIME_OR_NULL = { oneOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] };

/** Null counts as given: it is no value of this field. */
const isGiven = (_object: unknown, value: unknown): boolean => value !== undefined;

export class AccountDto {
  @ApiProperty({ type: String, example: 'ann', description: 'Lower case; a client may send it in any case.' })
  name!: string;

  @ApiProperty({ type: [String], example: ['ann@example.com'], description: IDENTITIES })
  identities!: readonly string[];

  @ApiPropertyOptional({ type: String })
  note?: string;

  @ApiProperty({ type: Boolean, description: 'True: every sign-in is refused.' })
  disabled!: boolean;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  disabledAt?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'From then on every sign-in is refused.' })
  expires?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  passwordSetAt!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String })
  createdBy!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  updatedAt!: string;

  @ApiProperty({ type: String })
  updatedBy!: string;
}

export class AccountWithPasswordDto extends AccountDto {
  @ApiPropertyOptional({
    type: String,
    description: 'The password, when it was made here. It is stored nowhere and never shown again.',
  })
  password?: string;
}

export class AccountPageDto {
  @ApiProperty({ type: [AccountDto] })
  data!: AccountDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class PasswordRequest {
  @ApiPropertyOptional({ type: String, format: 'password', description: PASSWORD })
  @ValidateIf(isGiven)
  @IsString()
  password?: string;
}

export class NewAccountRequest extends PasswordRequest {
  @ApiProperty({
    type: String,
    maxLength: MAX_NAME_LENGTH,
    example: 'ann',
    description: 'Letters, digits and `. _ + @ -`, beginning and ending with a letter or digit.',
  })
  @IsString()
  @MaxLength(MAX_NAME_LENGTH)
  name!: string;

  @ApiPropertyOptional({ type: [String], maxItems: MAX_IDENTITIES, description: IDENTITIES, default: [] })
  @ValidateIf(isGiven)
  @IsArray()
  @ArrayMaxSize(MAX_IDENTITIES)
  @IsString({ each: true })
  @MaxLength(MAX_ADDRESS_LENGTH, { each: true })
  identities?: string[];

  @ApiPropertyOptional({ type: String, maxLength: MAX_TEXT_LENGTH, description: 'Whose it is, what for.' })
  @ValidateIf(isGiven)
  @IsString()
  @MaxLength(MAX_TEXT_LENGTH)
  note?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  @ValidateIf(isGiven)
  @IsRFC3339(TIME)
  expires?: string;

  @ApiPropertyOptional({ type: Boolean, default: false })
  @ValidateIf(isGiven)
  @IsBoolean()
  disabled?: boolean;
}

/** A JSON merge patch (RFC 7396): what is absent stays, null removes. */
export class AccountPatch {
  @ApiPropertyOptional({ type: [String], maxItems: MAX_IDENTITIES, description: IDENTITIES })
  @ValidateIf(isGiven)
  @IsArray()
  @ArrayMaxSize(MAX_IDENTITIES)
  @IsString({ each: true })
  @MaxLength(MAX_ADDRESS_LENGTH, { each: true })
  identities?: string[];

  @ApiPropertyOptional(TEXT_OR_NULL)
  @IsOptional()
  @IsString()
  @MaxLength(MAX_TEXT_LENGTH)
  note?: string | null;

  @ApiPropertyOptional(TIME_OR_NULL)
  @IsOptional()
  @IsRFC3339(TIME)
  expires?: string | null;

  @ApiPropertyOptional({ type: Boolean })
  @ValidateIf(isGiven)
  @IsBoolean()
  disabled?: boolean;
}

export class AccountPath {
  @ApiProperty({ type: String, description: 'Name of the account, in any case.' })
  @IsString()
  @MaxLength(MAX_NAME_LENGTH)
  account!: string;
}

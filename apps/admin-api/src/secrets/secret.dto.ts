import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';

const MAX_NAME_LENGTH = 64;
const MAX_VALUE_LENGTH = 16_384;
const MAX_TEXT_LENGTH = 500;

export class SecretDto {
  @ApiProperty({ type: String, example: 'provider', description: 'As a policy names it: `secret/provider`.' })
  name!: string;

  @ApiPropertyOptional({ type: String })
  note?: string;

  @ApiProperty({ type: String, description: 'Which key sealed it.' })
  keyId!: string;

  @ApiProperty({ type: Boolean, description: 'False: none of the keys of this installation opens it; set it anew.' })
  readable!: boolean;

  @ApiProperty({ type: String, format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String })
  createdBy!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  updatedAt!: string;

  @ApiProperty({ type: String })
  updatedBy!: string;
}

export class SecretPageDto {
  @ApiProperty({ type: [SecretDto] })
  data!: SecretDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class SecretRequest {
  @ApiProperty({ type: String, format: 'password', maxLength: MAX_VALUE_LENGTH, writeOnly: true })
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_VALUE_LENGTH)
  value!: string;

  @ApiPropertyOptional({ type: String, maxLength: MAX_TEXT_LENGTH, description: 'Whose it is, what for.' })
  @ValidateIf((_object, value: unknown) => value !== undefined)
  @IsString()
  @MaxLength(MAX_TEXT_LENGTH)
  note?: string;
}

export class PublicKeyDto {
  @ApiProperty({ enum: ['rsa-sha256', 'ed25519-sha256'], description: 'What it signs with.' })
  algorithm!: 'rsa-sha256' | 'ed25519-sha256';

  @ApiPropertyOptional({ type: 'integer', description: 'Of an RSA key.' })
  bits?: number;

  @ApiProperty({
    type: String,
    example: 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
    description: 'The TXT record that publishes it below `<selector>._domainkey.<domain>` (RFC 6376 s3.6.1).',
  })
  record!: string;
}

export class ResealDto {
  @ApiProperty({ type: String, description: 'The key that everything readable is sealed with now.' })
  keyId!: string;

  @ApiProperty({ type: 'integer', description: 'Secrets that were sealed with another key before.' })
  resealed!: number;

  @ApiProperty({ type: [String], description: 'Names of secrets that none of the keys opens; they stay as they are.' })
  unreadable!: readonly string[];
}

export class SecretPath {
  @ApiProperty({ type: String, description: 'Lower-case letters, digits and `. _ -`, at most 64.' })
  @IsString()
  @MaxLength(MAX_NAME_LENGTH)
  secret!: string;
}

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsRFC3339, IsString, Matches, MaxLength } from 'class-validator';
import { ROLES, type Role } from '../auth/roles.js';

export class ApiKeyDto {
  @ApiProperty({ type: String, example: 'key_01JD0000000000000000000000' })
  id!: string;

  @ApiProperty({ type: String, description: 'The actor that changes made with it are recorded under.' })
  name!: string;

  @ApiProperty({ type: String, description: 'First characters of the key, to tell keys apart.' })
  prefix!: string;

  @ApiProperty({ type: String, enum: ROLES })
  role!: string;

  @ApiProperty({ type: String, format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String })
  createdBy!: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  expiresAt?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  revokedAt?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  lastUsedAt?: string;
}

export class CreatedApiKeyDto extends ApiKeyDto {
  @ApiProperty({ type: String, description: 'The key itself. It is stored nowhere and never shown again.' })
  key!: string;
}

export class ApiKeyPageDto {
  @ApiProperty({ type: [ApiKeyDto] })
  data!: ApiKeyDto[];
}

export class NewApiKeyRequest {
  @ApiProperty({ type: String, maxLength: 100, example: 'deploy-pipeline' })
  @IsString()
  @MaxLength(100)
  @Matches(/^[\p{L}\p{N}](?:[\p{L}\p{N} ._@-]*[\p{L}\p{N}])?$/u, {
    message: 'name must be letters, digits, spaces and `. _ @ -`, beginning and ending with a letter or digit',
  })
  name!: string;

  @ApiPropertyOptional({ type: String, enum: ROLES, default: 'admin', description: '`viewer` may only read.' })
  @IsOptional()
  @IsIn(ROLES)
  role?: Role;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'From then on it is worthless.' })
  @IsOptional()
  @IsRFC3339({ message: 'expiresAt must be a time such as `2026-12-31T12:00:00Z`' })
  expiresAt?: string;
}

export class ApiKeyPath {
  @ApiProperty({ type: String, description: '`key_…`' })
  @IsString()
  @MaxLength(40)
  id!: string;
}

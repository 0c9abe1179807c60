import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsOptional, IsString, MaxLength, ValidateNested } from 'class-validator';

const LONGEST_BODY = 200_000;

export class SignedCheckpointDto {
  @ApiProperty({ type: String, description: 'Canonical JSON: the octets that were signed.' })
  @IsString()
  @MaxLength(LONGEST_BODY)
  body!: string;

  @ApiProperty({ type: String, description: 'Ed25519, base64.' })
  @IsString()
  @MaxLength(200)
  signature!: string;
}

export class CheckpointDto extends SignedCheckpointDto {
  @ApiProperty({ type: String, description: 'Gateway that signed it.' })
  node!: string;

  @ApiProperty({ type: 'integer', description: 'Number among those of its node, from 1.' })
  sequence!: number;

  @ApiProperty({ type: String, format: 'date-time' })
  madeAt!: string;

  @ApiProperty({ type: String, description: 'Fingerprint of the key: SHA-256 of the public key, hex.' })
  key!: string;
}

export class PublicKeyDto {
  @ApiProperty({ type: String, description: 'SHA-256 of the public key, hex.' })
  fingerprint!: string;

  @ApiProperty({ type: String, description: 'PEM, SPKI.' })
  pem!: string;
}

export class CheckpointPageDto {
  @ApiProperty({ type: [CheckpointDto] })
  data!: CheckpointDto[];

  @ApiProperty({ type: [PublicKeyDto], description: 'Keys that this installation trusts.' })
  keys!: PublicKeyDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class VerifyRequest {
  @ApiPropertyOptional({
    type: [SignedCheckpointDto],
    maxItems: 100,
    description: 'Checkpoints that you kept elsewhere, besides those in the data directory.',
  })
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => SignedCheckpointDto)
  checkpoints?: SignedCheckpointDto[];
}

export class AuditFaultDto {
  @ApiProperty({
    type: String,
    enum: [
      'altered',
      'row-removed',
      'row-inserted',
      'removed',
      'inserted',
      'reordered',
      'truncated',
      'rewritten',
      'unsigned',
      'checkpoint-removed',
      'checkpoint-altered',
    ],
  })
  kind!: string;

  @ApiProperty({ type: String, description: 'What was found, as a sentence.' })
  message!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'When the block, row or checkpoint was made.' })
  at!: string;

  @ApiPropertyOptional({ type: String })
  node?: string;

  @ApiPropertyOptional({ type: String })
  chain?: string;

  @ApiPropertyOptional({ type: 'integer', description: 'Number of the block in its chain, or of the checkpoint.' })
  sequence?: number;

  @ApiPropertyOptional({ type: String })
  block?: string;

  @ApiPropertyOptional({ type: String })
  row?: string;
}

export class VerifyReportDto {
  @ApiProperty({ type: Boolean, description: 'Nothing was altered, removed, added or reordered.' })
  ok!: boolean;

  @ApiPropertyOptional({ type: AuditFaultDto, description: 'The oldest of the faults.' })
  first?: AuditFaultDto;

  @ApiProperty({ type: [AuditFaultDto], description: 'Oldest first, at most 100.' })
  faults!: AuditFaultDto[];

  @ApiProperty({ type: String, format: 'date-time', description: 'Start of the oldest day that is kept.' })
  since!: string;

  @ApiProperty({ type: 'integer' })
  chains!: number;

  @ApiProperty({ type: 'integer' })
  blocks!: number;

  @ApiProperty({ type: 'integer' })
  rows!: number;

  @ApiProperty({ type: 'integer' })
  checkpoints!: number;

  @ApiProperty({ type: 'integer', description: 'Blocks newer than the newest checkpoint: consistent, not signed yet.' })
  unsignedBlocks!: number;

  @ApiProperty({ type: 'integer', description: 'Blocks of which retention dropped some rows.' })
  partialBlocks!: number;

  @ApiProperty({ type: 'integer', description: 'Rows from before this version kept a chain.' })
  unchainedRows!: number;

  @ApiProperty({ type: [String], description: 'Keys that signed checkpoints and are not trusted here.' })
  unknownKeys!: string[];
}

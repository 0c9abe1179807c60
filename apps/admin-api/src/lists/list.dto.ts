import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsRFC3339, IsString, MaxLength, Min, MinLength } from 'class-validator';
import { MAX_REASON_LENGTH } from '../http/reason.js';

const MAX_VALUE_LENGTH = 1000;
const MAX_TEXT_LENGTH = 500;

export class ManagedListDto {
  @ApiProperty({ type: String })
  name!: string;

  @ApiProperty({ type: String, enum: ['address', 'domain', 'network', 'word'] })
  type!: string;

  @ApiPropertyOptional({ type: String, description: 'Inline list of the policy that bounds the entries.' })
  within?: string;

  @ApiPropertyOptional({ type: String, enum: ['deny'], description: '`deny`: the list is only ever used to refuse.' })
  use?: string;

  @ApiProperty({ type: 'integer', description: 'Grows with every change.' })
  revision!: number;
}

export class ManagedListPageDto {
  @ApiProperty({ type: [ManagedListDto] })
  data!: ManagedListDto[];
}

export class ListEntryDto {
  @ApiProperty({ type: String, description: 'In canonical form.' })
  value!: string;

  @ApiPropertyOptional({ type: String })
  note?: string;

  @ApiPropertyOptional({ type: String, description: 'Who answers for it.' })
  owner?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'From then on it does not count.' })
  expires?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  addedAt!: string;

  @ApiProperty({ type: String, description: 'Name of the API key that added it.' })
  addedBy!: string;

  @ApiProperty({ type: 'integer', description: 'Revision of the list that it came with.' })
  revision!: number;
}

export class ListEntryPageDto {
  @ApiProperty({ type: [ListEntryDto] })
  data!: ListEntryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class AddedEntryDto extends ListEntryDto {
  @ApiProperty({
    type: Boolean,
    description: 'False when the entry was there already: then note, owner and expiry are the new ones.',
  })
  added!: boolean;

  @ApiProperty({ type: 'integer', description: 'Revision of the list now.' })
  listRevision!: number;
}

export class NewEntryRequest {
  @ApiProperty({ type: String, maxLength: MAX_VALUE_LENGTH, example: '203.0.113.0/24' })
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_VALUE_LENGTH)
  value!: string;

  @ApiPropertyOptional({ type: String, maxLength: MAX_TEXT_LENGTH })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_TEXT_LENGTH)
  note?: string;

  @ApiPropertyOptional({ type: String, maxLength: MAX_TEXT_LENGTH })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_TEXT_LENGTH)
  owner?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time' })
  @IsOptional()
  @IsRFC3339({ message: 'expires must be a time such as `2026-12-31T12:00:00Z`' })
  expires?: string;

  @ApiPropertyOptional({ type: String, maxLength: MAX_REASON_LENGTH, description: 'Kept in the audit.' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_REASON_LENGTH)
  reason?: string;
}

export class RemoveEntryQuery {
  @ApiPropertyOptional({ type: String, maxLength: MAX_REASON_LENGTH, description: 'Kept in the audit.' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_REASON_LENGTH)
  reason?: string;
}

export class ListPath {
  @ApiProperty({ type: String, description: 'Name of a managed list of the live policy.' })
  @IsString()
  @MaxLength(100)
  list!: string;
}

export class EntryPath extends ListPath {
  @ApiProperty({ type: String, description: 'The entry, percent-encoded.' })
  @IsString()
  @MaxLength(MAX_VALUE_LENGTH)
  value!: string;
}

export class ImportQuery {
  @ApiPropertyOptional({
    type: String,
    enum: ['merge', 'replace'],
    default: 'merge',
    description: '`replace`: entries that are not in the file are removed.',
  })
  @IsOptional()
  @IsIn(['merge', 'replace'])
  mode?: 'merge' | 'replace';

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    description: 'Revision of the list that this is based on; where it is another one by then, the operation fails.',
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(0)
  ifRevision?: number;
}

export class ExportQuery {
  @ApiPropertyOptional({ type: String, enum: ['ndjson', 'csv'], default: 'ndjson' })
  @IsOptional()
  @IsIn(['ndjson', 'csv'])
  format?: 'ndjson' | 'csv';
}

export class LookupRequest {
  @ApiProperty({ type: String, maxLength: MAX_VALUE_LENGTH, example: '203.0.113.9' })
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_VALUE_LENGTH)
  value!: string;
}

export class LookupDto {
  @ApiProperty({ type: String })
  value!: string;

  @ApiProperty({ type: 'integer', description: 'Revision of the list that was asked.' })
  listRevision!: number;

  @ApiProperty({ type: Boolean })
  covered!: boolean;

  @ApiPropertyOptional({ type: ListEntryDto, description: 'The narrowest entry that covers it.' })
  entry?: ListEntryDto;

  @ApiProperty({ type: [ListEntryDto], description: 'Wider entries that cover it too.' })
  others!: ListEntryDto[];
}

import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { POLICY_SECTIONS } from '#policy';
import { PublishQuery } from '../confirm-within.js';

/** Names of tests are sentences. */
const MAX_NAME = 200;
export const PHASES = POLICY_SECTIONS.filter(({ path }) => path[0] === 'acl').map(({ name }) => name);

export class SectionEntryDto {
  @ApiProperty({ type: String })
  name!: string;

  @ApiProperty({ type: String, description: 'JSON pointer (RFC 6901) into the live policy.' })
  pointer!: string;

  @ApiProperty({ description: 'As the policy has it.', type: 'object', additionalProperties: true })
  value!: unknown;
}

export class SectionPageDto {
  @ApiProperty({ type: [SectionEntryDto], description: 'In the order of the policy.' })
  data!: SectionEntryDto[];

  @ApiPropertyOptional({ type: String, description: 'Cursor for `after`; absent at the end.' })
  next?: string;
}

export class NamedPath {
  @IsString()
  @MaxLength(MAX_NAME)
  name!: string;
}

export class PhasePath {
  @IsIn(PHASES, { message: `phase must be one of ${PHASES.join(', ')}` })
  phase!: string;
}

export class PhaseNamedPath extends PhasePath {
  @IsString()
  @MaxLength(MAX_NAME)
  name!: string;
}

const POSITION = { message: 'position must be `first`, `last`, `before:NAME` or `after:NAME`' };
const POSITION_DESCRIPTION = '`first`, `last`, `before:NAME` or `after:NAME`.';

/** Of a new entry where the order counts. */
export class PlacedQuery extends PublishQuery {
  @ApiPropertyOptional({ type: String, default: 'last', description: POSITION_DESCRIPTION })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_NAME + 7)
  @Matches(/^(?:first|last|(?:before|after):.+)$/u, POSITION)
  position?: string;
}

export class MoveQuery extends PublishQuery {
  @ApiProperty({ type: String, description: POSITION_DESCRIPTION })
  @IsString()
  @MaxLength(MAX_NAME + 7)
  @Matches(/^(?:first|last|(?:before|after):.+)$/u, POSITION)
  position!: string;
}

/** Of a new entry of a mapping, whose name is no part of it. */
export class NamedQuery extends PublishQuery {
  @ApiProperty({ type: String })
  @IsString()
  @MaxLength(MAX_NAME)
  name!: string;
}

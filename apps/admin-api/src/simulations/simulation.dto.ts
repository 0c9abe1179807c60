import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBase64,
  IsBoolean,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { ExplainedRecipientDto, JudgedByDto, SharedDecisionDto } from '../transactions/explanation.dto.js';
import { HeaderChangeDto } from '../transactions/recipient.dto.js';

export const MOST_CASES = 100;
const LARGEST_REVISION = 2_147_483_647;
/** Of one message, as text or in base64. */
const MOST_CHARACTERS = 1_400_000;
const MOST_DOCUMENT_CHARACTERS = 16_000_000;

class SimulatedMessageDto {
  @ApiPropertyOptional({
    type: String,
    maxLength: MOST_CHARACTERS,
    description: 'Header and body as text; line ends become CRLF.',
    example: 'From: a@x.example\nSubject: hello\n\nbody\n',
  })
  @IsOptional()
  @IsString()
  @MaxLength(MOST_CHARACTERS)
  text?: string;

  @ApiPropertyOptional({
    type: String,
    format: 'byte',
    maxLength: MOST_CHARACTERS,
    description: 'The octets, in base64.',
  })
  @IsOptional()
  @IsBase64()
  @MaxLength(MOST_CHARACTERS)
  base64?: string;
}

class SimulationCaseDto {
  @ApiPropertyOptional({ type: String, maxLength: 200, description: 'Comes back with the answer.' })
  @IsOptional()
  @IsString()
  @MaxLength(200)
  name?: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'Facts by the names of docs/policy.md, as in the tests of a policy. What is not given is absent, `"unknown"` or `{ "unknown": "why" }` is a ' +
      'look-up that failed. `recipient` may be a list: so many recipients of one transaction. `time` is now unless it is given.',
    example: { listener: 'mx', ip: '203.0.113.9', sender: 'a@x.example', recipient: 'ann@example.com' },
  })
  @IsObject()
  given!: Record<string, unknown>;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'array', items: { type: 'string' } },
    description: 'Members of managed lists; those that are not named have the members they have now.',
    example: { staff: ['ann@example.com'] },
  })
  @IsOptional()
  @IsObject()
  lists?: Record<string, unknown>;

  @ApiPropertyOptional({
    type: SimulatedMessageDto,
    description: 'A message, from which the facts of its content are read; what `given` says of them counts more.',
  })
  @IsOptional()
  @ValidateNested()
  @Type(() => SimulatedMessageDto)
  message?: SimulatedMessageDto;
}

export class SimulationRequest {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'A revision of the policy; left out, the live one.',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(LARGEST_REVISION)
  revision?: number;

  @ApiPropertyOptional({
    type: String,
    description: 'A draft, as it is now.',
    example: 'drf_01JD0000000000000000000000',
  })
  @IsOptional()
  @IsString()
  @MaxLength(40)
  draft?: string;

  @ApiPropertyOptional({ type: String, description: 'A policy document, YAML or JSON as text. It is stored nowhere.' })
  @IsOptional()
  @IsString()
  @MaxLength(MOST_DOCUMENT_CHARACTERS)
  document?: string;

  @ApiProperty({ type: [SimulationCaseDto], minItems: 1, maxItems: MOST_CASES })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_CASES)
  @ValidateNested({ each: true })
  @Type(() => SimulationCaseDto)
  cases!: SimulationCaseDto[];

  @ApiPropertyOptional({ type: Boolean, default: true, description: '`false`: the decisions without the way to them.' })
  @IsOptional()
  @IsBoolean()
  steps?: boolean;
}

class SimulatedRecipientDto extends ExplainedRecipientDto {
  @ApiProperty({ type: [String], description: 'Tags that rules gave.' })
  tags!: string[];

  @ApiPropertyOptional({ type: [HeaderChangeDto], description: 'Changes to the header of its mail.' })
  header?: HeaderChangeDto[];
}

class SimulatedAnswerDto {
  @ApiProperty({ type: String, enum: ['reject', 'defer'] })
  verdict!: string;

  @ApiProperty({ type: String })
  by!: string;

  @ApiProperty({ type: String })
  reply!: string;
}

class SimulatedCaseDto {
  @ApiPropertyOptional({ type: String })
  name?: string;

  @ApiProperty({ type: String, description: 'Client of the policy, or `none`.' })
  client!: string;

  @ApiProperty({ type: SharedDecisionDto, description: 'Up to MAIL FROM: what all recipients share.' })
  mail!: SharedDecisionDto;

  @ApiProperty({ type: [SimulatedRecipientDto] })
  recipients!: SimulatedRecipientDto[];

  @ApiPropertyOptional({
    type: SimulatedAnswerDto,
    description: 'What refuses the message as a whole after the final dot.',
  })
  answer?: SimulatedAnswerDto;

  @ApiProperty({ type: [String], description: 'The same in English.' })
  text!: string[];

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'Facts that it was judged by, those of the message among them.',
  })
  facts!: Record<string, unknown>;
}

class SimulatedByDto extends JudgedByDto {
  @ApiProperty({ type: 'integer', description: '0 for a draft or a document of the request.' })
  declare revision: number;
}

export class SimulationDto {
  @ApiProperty({ type: SimulatedByDto })
  decidedBy!: SimulatedByDto;

  @ApiProperty({ type: [SimulatedCaseDto], description: 'In the order of the request.' })
  cases!: SimulatedCaseDto[];
}

export { SimulatedByDto, SimulatedCaseDto, SimulatedMessageDto, SimulatedRecipientDto, SimulationCaseDto };

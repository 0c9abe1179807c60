import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Matches } from 'class-validator';

export class ApprovalDto {
  @ApiProperty({ type: String })
  approver!: string;

  @ApiPropertyOptional({ type: String })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time' })
  approvedAt!: string;
}

export class ApprovalsDto {
  @ApiProperty({ type: String, description: 'Of the document that they approve.' })
  digest!: string;

  @ApiProperty({ type: 'integer', description: 'How many this installation asks for (`ADMIN_REQUIRED_APPROVALS`).' })
  required!: number;

  @ApiProperty({ type: Boolean, description: 'Whether there are enough, by others than who wrote it.' })
  approved!: boolean;

  @ApiProperty({ type: [ApprovalDto] })
  data!: ApprovalDto[];
}

export class ApproveRequest {
  @ApiProperty({ type: String, description: 'Digest of the document that was read and is approved.' })
  @Matches(/^sha256:[0-9a-f]{64}$/u, { message: 'digest must be `sha256:` and 64 hexadecimal digits' })
  digest!: string;
}

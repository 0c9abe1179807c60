import { applyDecorators, HttpCode, HttpStatus } from '@nestjs/common';
import { ApiAcceptedResponse } from '@nestjs/swagger';
import type { Response } from 'express';
import { OperationDto } from './operation.dto.js';

/** Of a route that answers with an operation it has begun: 202 and where to look. */
export function BeginsOperation(): MethodDecorator {
  return applyDecorators(
    HttpCode(HttpStatus.ACCEPTED),
    ApiAcceptedResponse({
      type: OperationDto,
      description: 'It has begun; `Location` says where to see how far it is.',
      headers: { Location: { schema: { type: 'string' } } },
    }),
  );
}

export function begun(response: Response, operation: OperationDto): OperationDto {
  response.setHeader('Location', `/v1/operations/${operation.id}`);
  return operation;
}

import { applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';

/** Of an answer that shows a resource which can be changed. */
export const ETAG_HEADER = {
  ETag: { description: 'For `If-Match` of a change.', schema: { type: 'string' } },
} as const;

export function ApiReasonHeader(): MethodDecorator {
  return ApiHeader({ name: 'Reason', required: false, description: 'Why; kept in the audit.' });
}

/** Headers of a change to a resource that has an ETag. */
export function ApiChangeHeaders(): MethodDecorator {
  return applyDecorators(
    ApiHeader({
      name: 'If-Match',
      required: true,
      description: 'ETag of the state this change is based on; `*` for whatever there is.',
    }),
    ApiReasonHeader(),
  );
}

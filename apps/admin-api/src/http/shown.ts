import type { Response } from 'express';
import { entityTag } from './conditional.js';
import type { Fields } from './fields.js';

/** A body, and the state it shows. */
export interface Shown<Dto> {
  readonly body: Fields<Dto>;
  readonly state: string;
}

/** Answers the body with the state as its ETag. */
export function tagged<Dto>(response: Response, { body, state }: Shown<Dto>): Fields<Dto> {
  response.setHeader('ETag', entityTag(state));
  return body;
}

/** How much structure is looked at. What goes beyond is unknown, never "nothing there". */
export interface MimeLimits {
  readonly headerBytes: number;
  readonly fieldBytes: number;
  readonly fields: number;
  readonly parts: number;
  readonly depth: number;
  readonly params: number;
}

export const MIME_LIMITS: MimeLimits = {
  headerBytes: 262_144,
  fieldBytes: 65_536,
  fields: 1000,
  parts: 1000,
  depth: 32,
  params: 100,
};

/** Why structure could not be told. `mime.limit`: more than the limits; `mime.ambiguous`: programs would read it differently. */
export type MimeFault = 'mime.limit' | 'mime.ambiguous';

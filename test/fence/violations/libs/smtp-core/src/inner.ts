export interface Inner {
  readonly room: 'smtp-core';
}
export const inner: Inner = { room: 'smtp-core' };

export interface Inner {
  readonly room: 'audit';
}
export const inner: Inner = { room: 'audit' };

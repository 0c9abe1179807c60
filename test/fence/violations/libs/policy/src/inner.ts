export interface Inner {
  readonly room: 'policy';
}
export const inner: Inner = { room: 'policy' };

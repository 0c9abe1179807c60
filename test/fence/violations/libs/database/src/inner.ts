export interface Inner {
  readonly room: 'database';
}
export const inner: Inner = { room: 'database' };

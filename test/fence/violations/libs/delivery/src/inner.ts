export interface Inner {
  readonly room: 'delivery';
}
export const inner: Inner = { room: 'delivery' };

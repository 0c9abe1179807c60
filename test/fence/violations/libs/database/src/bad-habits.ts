// expect lint: no-restricted-syntax no-restricted-syntax no-restricted-syntax no-restricted-syntax no-warning-comments house/described-disables
import { inner } from './inner.js';
const tagged = (_: unknown): void => undefined;
// TODO: nothing
export enum Colour {
  Red = 'red',
}
export class Base {
  readonly room = inner;
}
@tagged
export class Derived extends Base {
  readonly size = 1;
}
// eslint-disable-next-line no-console
console.log('disabled without a reason');
export default Base;

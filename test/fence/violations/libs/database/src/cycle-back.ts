// expect fence: no cycles
import { there } from './cycle-there.js';
export const back = (): number => there();

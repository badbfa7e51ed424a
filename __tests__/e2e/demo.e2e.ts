import { describeDemo } from './support/demo.ts';

describeDemo(['root', 'subuid']);

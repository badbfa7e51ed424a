import { describeDemo } from './support/demo.ts';

describeDemo(['sudo', 'sudo with use_pty']);

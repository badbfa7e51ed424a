/** Why everything is being given up. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(reason: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGPIPE') {
    super(reason === 'SIGPIPE' ? 'The reader of the output has gone' : `Interrupted by ${reason}`);
    this.name = 'Interrupted';
    this.exitCode = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGPIPE: 141 }[reason];
  }
}

import { UsageError } from '../usage-error.ts';

/** A template that is wrong, or asks for what is not there; in Docker's words. */
export class TemplateError extends UsageError {
  constructor(message: string, hint?: string) {
    super(`template parsing error: template: :1: ${message}`, hint);
    this.name = 'TemplateError';
  }
}

import type { InstructionKind } from '../instruction.ts';

/** A line as it should be, for those that say too little. */
const USAGE: Readonly<Record<InstructionKind, string>> = {
  add: 'ADD model.tar.gz /models/',
  arg: 'ARG NAME or ARG NAME=default',
  cmd: 'CMD ["program", "argument"]',
  copy: 'COPY requirements.txt ./',
  entrypoint: 'ENTRYPOINT ["program", "argument"]',
  env: 'ENV NAME=value',
  expose: 'EXPOSE 8000',
  healthcheck: 'HEALTHCHECK CMD command, or HEALTHCHECK NONE',
  label: 'LABEL name=value',
  maintainer: 'LABEL org.opencontainers.image.authors="name"',
  onbuild: 'ONBUILD RUN command',
  run: 'RUN command, or RUN ["program", "argument"]',
  shell: 'SHELL ["/bin/bash", "-c"]',
  stopsignal: 'STOPSIGNAL SIGTERM',
  user: 'USER name, or USER 1000:1000',
  volume: 'VOLUME /data',
  workdir: 'WORKDIR /app',
};

/** `Write ENV NAME=value`. */
export function usageOf(word: string): string {
  const kind = word.toLowerCase();
  return `Write ${isKind(kind) ? USAGE[kind] : word.toUpperCase()}`;
}

function isKind(word: string): word is InstructionKind {
  return Object.hasOwn(USAGE, word);
}

import type { Fields } from './template/index.ts';

/**
 * What Docker's types have and its JSON leaves out where there is nothing: a template may ask for it, as `{{if .State.Health}}` does. Source:
 * `api/types/container` and `api/types/image` of moby 28, the fields with `omitempty`.
 */
export const ABSENT_OF_CONTAINER: Fields = {
  ImageManifestDescriptor: null,
  SizeRootFs: null,
  SizeRw: null,
  State: { Health: null },
  Config: {
    ArgsEscaped: false,
    Healthcheck: null,
    MacAddress: '',
    NetworkDisabled: false,
    Shell: null,
    StopSignal: '',
    StopTimeout: null,
  },
  HostConfig: { Annotations: null, Init: null, Mounts: null, StorageOpt: null, Sysctls: null, Tmpfs: null },
};

/** The same of images. */
export const ABSENT_OF_IMAGE: Fields = {
  Author: '',
  Comment: '',
  Variant: '',
  OsVersion: '',
  Config: { ArgsEscaped: false, Healthcheck: null, Shell: null, StopSignal: '' },
};

/** `fields` with what is absent of them. */
export function withAbsent(fields: Fields, absent: Fields): Fields {
  const merged: Record<string, unknown> = { ...fields };
  for (const [name, nothing] of Object.entries(absent)) {
    const value = merged[name];
    if (value === undefined) merged[name] = nothing;
    else if (isObject(value) && isObject(nothing)) merged[name] = withAbsent(value, nothing);
  }
  return merged;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../base/errors.ts';
import { namesIn } from '../../base/small-file.ts';
import type { NetworkRange } from '../../engine.ts';
import type { BridgeTrait } from '../../native/protocol.ts';
import { isRecord, readJson, replaceFile } from '../../store/files.ts';

/** A network of the store, as it is kept in `networks/<id>/network.json`. */
export interface NetworkRecord extends NetworkRange {
  readonly v: 1;
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  /** Its addresses of IPv6; the others are of IPv4. */
  readonly ipv6?: NetworkRange | undefined;
  /** Name of the bridge; made of the id when left out. */
  readonly bridge?: string | undefined;
  readonly traits?: readonly BridgeTrait[] | undefined;
  /** Where ports are published that name no address of the host. */
  readonly hostBinding?: string | undefined;
  /** What interfaces in containers are called before their number; `eth` when left out. */
  readonly interfacePrefix?: string | undefined;
  /** Bytes of a packet; that of the machine's way out when left out. */
  readonly mtu?: number | undefined;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** The networks of a store on disk. */
export interface NetworkRecords {
  /** By name. */
  list(): Promise<readonly NetworkRecord[]>;
  put(record: NetworkRecord): Promise<void>;
  /** Containers and steps of builds that are on it now, as the helper's book says. */
  members(id: string): readonly string[];
  remove(id: string): Promise<void>;
}

/** {@link NetworkRecords} below the store's root. */
export function createNetworkRecords(root: string): NetworkRecords {
  const folder = join(root, 'networks');
  return {
    list: async () => {
      const ids = namesIn(folder).filter((name) => /^[0-9a-f]{64}$/.test(name));
      return ids.flatMap((id) => read(folder, id)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    put: async (record) => {
      await mkdir(join(folder, record.id), { recursive: true, mode: 0o755 });
      await replaceFile(join(folder, record.id, FILE), JSON.stringify(record));
    },
    members: (id) => namesIn(join(folder, id, 'endpoints')).filter((name) => !name.startsWith('.')),
    // Without the file it is no network any more; the helper's book in it is empty.
    remove: async (id) => {
      await rm(join(folder, id, FILE), { force: true });
      await rm(join(folder, id), { recursive: true, force: true });
    },
  };
}

const FILE = 'network.json';

function read(folder: string, id: string): readonly NetworkRecord[] {
  const path = join(folder, id, FILE);
  const file = readJson(path);
  if ('missing' in file) return [];
  if ('value' in file && isNetworkRecord(file.value) && file.value.id === id) return [file.value];
  throw new EngineError(
    'STORE_INVALID',
    `Cannot read network ${id.slice(0, 12)}: ${path} is broken or of a newer berth`,
    {
      hint: `rm -r ${join(folder, id)}`,
    },
  );
}

function isNetworkRecord(value: unknown): value is NetworkRecord {
  if (!isRecord(value) || value['v'] !== 1) return false;
  const texts = ['id', 'name', 'created', 'subnet', 'gateway'].every((key) => typeof value[key] === 'string');
  const switches = ['internal', 'attachable'].every((key) => typeof value[key] === 'boolean');
  const { reserved = {} } = value;
  const taken = isRecord(reserved) && Object.values(reserved).every((address) => typeof address === 'string');
  return texts && switches && taken && isRecord(value['labels']) && isRecord(value['options']);
}

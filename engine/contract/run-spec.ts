import type { Platform } from '../image/types.ts';
import type { PublishedPort, Restart } from '../native/protocol.ts';
import type { ContainerLink, NetworkJoin } from './networks.ts';

/** Limits of a container; what is left out is not limited. */
export interface Limits {
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Memory and swap together in bytes; -1: no limit. */
  readonly memorySwap?: number | undefined;
  readonly memoryReservation?: number | undefined;
  /** 0 to 100. */
  readonly memorySwappiness?: number | undefined;
  readonly oomKillDisable?: boolean | undefined;
  /** Processors, with fractions. */
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  /** Microseconds. */
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** -1: no limit. */
  readonly pids?: number | undefined;
  /** Share of block devices among containers that want more than there is, 10 to 1000; 0 is none of its own. */
  readonly blkioWeight?: number | undefined;
  readonly blkioWeightDevice?: readonly { readonly path: string; readonly weight: number }[] | undefined;
  /** Bytes a second; 0 is no limit. */
  readonly deviceReadBps?: readonly DeviceRate[] | undefined;
  readonly deviceWriteBps?: readonly DeviceRate[] | undefined;
  /** Operations a second. */
  readonly deviceReadIops?: readonly DeviceRate[] | undefined;
  readonly deviceWriteIops?: readonly DeviceRate[] | undefined;
}

/** What may be read from or written to a block device of this machine in a second. */
export interface DeviceRate {
  readonly path: string;
  readonly rate: number;
}

/** `--health-*`: what is given replaces the image's. Times in nanoseconds, as in the image's configuration. */
export interface HealthOptions {
  readonly test?: readonly string[] | undefined;
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
  readonly startPeriod?: number | undefined;
  readonly startInterval?: number | undefined;
  readonly retries?: number | undefined;
}

/** `--device /dev/x:/dev/y:rwm`. */
export interface DeviceRequest {
  readonly hostPath: string;
  readonly path: string;
  readonly access: string;
}

export interface Mount {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** hostPath, or name of the volume. */
  readonly source?: string | undefined;
  readonly target: string;
  readonly readonly?: boolean | undefined;
  /** Make the host directory of a bind when it is missing, as `-v` does. */
  readonly createSource?: boolean | undefined;
  /** Of a bind: what is mounted below the source is bound too (`enabled`), read-only too (`readonly`), or not at all (`disabled`). */
  readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly' | undefined;
  readonly propagation?: 'private' | 'rprivate' | 'slave' | 'rslave' | undefined;
  /** A named volume that goes with the last container that has it, as one without a name does. */
  readonly anonymous?: boolean | undefined;
  /** Leave an empty volume empty. */
  readonly nocopy?: boolean | undefined;
  /** Of a volume that is made. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Bytes, of a tmpfs. */
  readonly size?: number | undefined;
  readonly mode?: number | undefined;
  /** Further options of a tmpfs: `exec`, `noexec`, `suid`, `nosuid`, `dev`, `nodev`, `nr_inodes=…`, `uid=…`, `gid=…`. */
  readonly tmpfs?: readonly string[] | undefined;
}

/** A `docker run`. */
export interface RunSpec {
  readonly image: string;
  readonly name?: string | undefined;
  /** Arguments after the image: replace CMD. */
  readonly command?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly hostname?: string | undefined;
  readonly mounts?: readonly Mount[] | undefined;
  /** Volumes and binds of other containers, at the same places. */
  readonly volumesFrom?: readonly { readonly container: string; readonly readonly?: boolean | undefined }[] | undefined;
  readonly ports?: readonly PublishedPort[] | undefined;
  /** Publish every EXPOSEd port on a free one. */
  readonly publishAll?: boolean | undefined;
  /** Further ports beside the image's EXPOSE, as `8080/tcp`. */
  readonly expose?: readonly string[] | undefined;
  /**
   * `bridge` (default), `host`, `none`, the name or id of a network, `container:NAME`, or `private`: loopback and published ports alone, with no
   * way out. Where the machine has no bridges, `bridge` is `private`, and a warning says so.
   */
  readonly network?: string | undefined;
  /** Further networks to join. Of all that are not internal the one with the highest priority leads out, then the first by name. */
  readonly moreNetworks?: readonly string[] | undefined;
  /** On the first network, as all that follows. */
  readonly networkAliases?: readonly string[] | undefined;
  /** IPv4. */
  readonly ip?: string | undefined;
  readonly ip6?: string | undefined;
  readonly macAddress?: string | undefined;
  readonly linkLocalIps?: readonly string[] | undefined;
  /** On the default network with lines of `/etc/hosts` and variables, on others names that the responder knows. */
  readonly links?: readonly ContainerLink[] | undefined;
  /** What was asked for each network in its own words, by the name that `network` and `moreNetworks` have for it. */
  readonly joins?: Readonly<Record<string, NetworkJoin>> | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly dnsSearch?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  readonly domainname?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly detach?: boolean | undefined;
  /** Streams that were asked for alone; inspect shows them. */
  readonly attached?: readonly ('stdin' | 'stdout' | 'stderr')[] | undefined;
  /** Remove the container when it has ended. */
  readonly rm?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly init?: boolean | undefined;
  readonly readonly?: boolean | undefined;
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  readonly stopSignal?: string | undefined;
  readonly stopTimeout?: number | undefined;
  readonly shmSize?: number | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  readonly groupAdd?: readonly string[] | undefined;
  /** Lines of `/etc/hosts`; `host-gateway` as address is the host. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** `always`, `missing` (default) or `never`. */
  readonly pull?: 'always' | 'missing' | 'never' | undefined;
  /** The snapshots of a failed build step instead of an image: `berth run <vertex state>`. */
  readonly owner?: { readonly pid: number; readonly startTime: number } | undefined;
  readonly health?: HealthOptions | undefined;
  readonly restart?: Restart | undefined;
  readonly limits?: Limits | undefined;
  readonly log?:
    | {
        readonly driver: 'json-file' | 'local' | 'none';
        /** Bytes of one file, and how many are kept. */
        readonly maxSize?: number | undefined;
        readonly maxFiles?: number | undefined;
      }
    | undefined;
  /** `private` (default), `shareable`, `host`, `none` or `container:NAME`. */
  readonly ipc?: string | undefined;
  /** `host` or `container:NAME`. */
  readonly pid?: string | undefined;
  readonly uts?: 'host' | undefined;
  readonly cgroupns?: 'host' | 'private' | undefined;
  /** The cgroup that the container's lies below, from the root of each hierarchy. */
  readonly cgroupParent?: string | undefined;
  readonly privileged?: boolean | undefined;
  readonly security?: SecurityOptions | undefined;
  readonly devices?: readonly DeviceRequest[] | undefined;
  /** Devices that may be used once there is a node for them. */
  readonly deviceRules?: readonly DeviceAccess[] | undefined;
  /** Devices that a CDI file of this machine names: `vendor.com/class=name`. */
  readonly deviceNames?: readonly string[] | undefined;
  readonly gpus?: readonly GpuRequest[] | undefined;
  /** `nvidia`: where `gpus` asks for none, those that NVIDIA_VISIBLE_DEVICES names; the others are names of the one there is. */
  readonly runtime?: 'runc' | 'io.containerd.runc.v2' | 'nvidia' | undefined;
  /** -1000 to 1000. */
  readonly oomScoreAdj?: number | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Platform | undefined;
}

/** A `--gpus`. */
export interface GpuRequest {
  /** Default: the one that has the capabilities. */
  readonly driver?: string | undefined;
  /** -1: all; 0 where `devices` says which. */
  readonly count: number;
  /** Numbers, UUIDs or CDI names. */
  readonly devices: readonly string[];
  readonly capabilities: readonly string[];
  readonly options?: Readonly<Record<string, string>> | undefined;
}

/** Which devices may be used how: those of a kind by their numbers, all of them where a number is missing. */
export interface DeviceAccess {
  readonly type: 'a' | 'b' | 'c';
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Some of `r`, `w`, `m`. */
  readonly access: string;
}

/** `--security-opt`, read. */
export interface SecurityOptions {
  /** False lets set-id programs work, as Docker does. */
  readonly noNewPrivileges?: boolean | undefined;
  /** `unconfined`, or a profile in Docker's or the runtime's form; the profile of ours when left out. */
  readonly seccomp?: 'unconfined' | Readonly<Record<string, unknown>> | undefined;
  /** Nothing of /proc and /sys is hidden or read-only. */
  readonly systemPathsUnconfined?: boolean | undefined;
}

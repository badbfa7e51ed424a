/** Networks, as Docker's commands see them. */
export interface Networks {
  /** All of them, by name; those that are always there as well. */
  list(): Promise<readonly NetworkSummary[]>;
  /** Gives the id. @throws `NETWORK_EXISTS`, `NETWORK_INVALID`, `NETWORK_OVERLAP` */
  create(request: NetworkCreate): Promise<string>;
  /** @throws `NETWORK_NOT_FOUND`, `AMBIGUOUS` */
  inspect(nameOrId: string): Promise<Record<string, unknown>>;
  /** Lets a container join a network, at once when it runs. @throws `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`, `NETWORK_CONFLICT` and more */
  connect(network: string, container: string, join?: NetworkJoin): Promise<void>;
  /** Takes a container off a network. @throws as `connect` */
  disconnect(network: string, container: string): Promise<void>;
  /** Gives the name. @throws `NETWORK_NOT_FOUND`, `NETWORK_IN_USE`, `NETWORK_PREDEFINED` */
  remove(nameOrId: string): Promise<string>;
  /** Removes those that no container runs on, but those that `keep` holds; gives their names. */
  prune(options?: { readonly keep?: ((network: NetworkSummary) => boolean) | undefined }): Promise<readonly string[]>;
}

/** How a container joins a network. */
export interface NetworkJoin {
  /** IPv4, of the network's subnet. */
  readonly address?: string | undefined;
  /** IPv6, of the network's other subnet. */
  readonly address6?: string | undefined;
  readonly mac?: string | undefined;
  /** Further names of the container there. */
  readonly aliases?: readonly string[] | undefined;
  /** Further addresses: of 169.254.0.0/16 or fe80::/10. */
  readonly linkLocal?: readonly string[] | undefined;
  /** Names by which the container alone finds others there. */
  readonly links?: readonly ContainerLink[] | undefined;
  /** The name of the interface and its parameters: `com.docker.network.endpoint.ifname` and `.sysctls`. */
  readonly driverOptions?: Readonly<Record<string, string>> | undefined;
  /** The network with the highest one leads out; 0 when left out. */
  readonly gatewayPriority?: number | undefined;
}

/** A `--link`. */
export interface ContainerLink {
  /** Name or id of the other container. */
  readonly container: string;
  readonly alias: string;
}

/** A `docker network create`. Of subnets, gateways and ranges there is one of IPv4 and, with `ipv6`, one of IPv6. */
export interface NetworkCreate {
  readonly name: string;
  /** Containers have addresses of IPv6 as well. */
  readonly ipv6?: boolean | undefined;
  readonly subnets?: readonly string[] | undefined;
  readonly gateways?: readonly string[] | undefined;
  readonly ipRanges?: readonly string[] | undefined;
  /** Addresses that no container is to get, by what has them. */
  readonly reserved?: readonly (readonly [name: string, address: string])[] | undefined;
  readonly internal?: boolean | undefined;
  readonly attachable?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
}

export interface NetworkSummary {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** RFC 3339. */
  readonly created: string;
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly ipRange?: string | undefined;
  /** Addresses that no container gets, by what has them. */
  readonly reserved?: Readonly<Record<string, string>> | undefined;
  /** Its addresses of IPv6, where it has some. */
  readonly ipv6?: NetworkRange | undefined;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Always there. */
  readonly predefined: boolean;
  /** The gateway was chosen for a subnet that was asked for. */
  readonly ownGateway?: boolean | undefined;
  /** How many containers run on it; undefined for those without a record: host and none. */
  readonly users?: number | undefined;
}

/** Addresses that a network has. */
export interface NetworkRange {
  readonly subnet: string;
  readonly gateway: string;
  /** It was chosen for a subnet that was asked for. */
  readonly ownGateway?: boolean | undefined;
  /** The subnet was chosen as well: nobody may ask for an address of it. */
  readonly pooled?: boolean | undefined;
  /** Where addresses are chosen from. */
  readonly ipRange?: string | undefined;
  /** Addresses that no container gets, by what has them. */
  readonly reserved?: Readonly<Record<string, string>> | undefined;
}

/** What this machine gives a RUN that asks for no network: one of its own with a way out by NAT or by `pasta`, or the machine's own and why. */
export type StepNetworkChoice =
  | { readonly kind: 'bridge' }
  | { readonly kind: 'pasta'; readonly program: string }
  | { readonly kind: 'host'; readonly reason: string };

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
  /** Further names of the container there. */
  readonly aliases?: readonly string[] | undefined;
}

/** A `docker network create`. Addresses and subnets are IPv4. */
export interface NetworkCreate {
  readonly name: string;
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly ipRange?: string | undefined;
  /** Addresses that no container is to get, by what has them. */
  readonly reserved?: Readonly<Record<string, string>> | undefined;
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

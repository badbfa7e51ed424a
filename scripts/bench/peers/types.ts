/** A tool that does what the workloads ask for. Each act is a whole command of the tool, as its users type it. */
export interface Peer {
  /** `berth`, `docker 28.5.2`, …: its name and version in the report. */
  readonly name: PeerName;
  readonly version: string;
  /** Takes away what an earlier build left in its cache; untimed. */
  forget(): Promise<void>;
  /** Builds `folder`, whose Dockerfile is in it. */
  build(folder: string, tag: string): Promise<void>;
  /** Pushes a local image as `reference`, a name on the loopback registry. */
  push(tag: string, reference: string): Promise<void>;
  /** Pulls and unpacks. */
  pull(reference: string): Promise<void>;
  /** Forgets an image with its layers; untimed. */
  remove(reference: string): Promise<void>;
  /** Runs a command in a container of its own, without a network, to its end. */
  runOnce(tag: string, command: readonly string[]): Promise<void>;
  /**
   * Starts a server in the background that answers on `port` of loopback: in the host's network, or in one of its own with the port published.
   * It listens on PORT of its environment.
   */
  start(tag: string, name: string, server: { readonly port: number; readonly network: 'host' | 'own' }): Promise<void>;
  /** It can give a container a network of its own on this machine. */
  readonly publishes: boolean;
  /** Stops and removes it. */
  stop(name: string): Promise<void>;
  /** Writes the files of an image into an empty folder; untimed. One tool that can do it is enough. */
  readonly unpack?: (image: string, folder: string) => Promise<void>;
  close(): Promise<void>;
}

export type PeerName = 'berth' | 'docker' | 'docker (containerd store)' | 'buildah + podman';

/** What every peer is given. */
export interface PeerOptions {
  /** `127.0.0.1:5000`: serves the base images and takes pushes. */
  readonly registry: string;
  /** An empty folder for its state. */
  readonly state: string;
}

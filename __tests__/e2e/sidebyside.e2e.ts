import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../helpers/berth.ts';
import { type Docker, NO_DOCKER, startDocker } from './support/docker.ts';

const BUSYBOX = '/bin/busybox';
/** Both make bridges on one machine. */
const SUBNETS = { docker: '10.77.8', berth: '10.77.9' } as const;
const reason =
  NO_CONTAINERS ?? NO_DOCKER ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);
if (reason !== undefined) console.log(`side by side: ${reason}`);

/** A command line that both get. What is compared beside the exit code: standard output, what stands in both errors, or nothing. */
interface Step {
  readonly args: string;
  readonly input?: string;
  /** Only the exit code: the words differ, and mean the same. */
  readonly silent?: true;
  /** Stands in the error of both. */
  readonly error?: RegExp;
  /** Asked again until this is the answer. */
  readonly until?: string;
}

/** One lesson: containers of an image, from their start to their removal. HERE is a folder of each side's own, SUBNET its addresses. */
const STEPS: readonly Step[] = [
  { args: 'images --format {{.Repository}}:{{.Tag}}' },
  { args: 'run --rm --network none box echo hello' },
  { args: 'run --rm --network none box sh -c exit\\ 7' },
  { args: 'run --rm --network none box no-such-command', silent: true },
  { args: 'run --rm --network none box /data/seed', silent: true },
  { args: 'run --rm --network none --entrypoint echo box a b' },
  { args: 'run --rm --network none -e A=1 -e B=2 box sh -c echo\\ $A$B$GREETING' },
  { args: 'run --rm --network none -w /data box pwd' },
  { args: 'run --rm --network none -u 1000:1001 box id -u' },
  { args: 'run --rm --network none --read-only box touch /x', silent: true },
  { args: 'run --rm -i --network none box cat', input: 'typed\n' },
  { args: 'run --rm --network none -v HERE:/w box sh -c echo\\ made>/w/made;cat\\ /w/given' },
  { args: 'run --rm --network none -v HERE/given:/given:ro box cat /given' },
  { args: 'run --rm --network none -v models:/data box cat /data/seed' },
  { args: 'run --rm --network none --mount type=volume,src=models,dst=/m box ls /m' },
  {
    args: 'run --rm --network none --mount type=bind,src=/no/such/folder,dst=/m box true',
    error: /bind source path does not exist/,
  },
  { args: 'run --rm --network none --tmpfs /t:size=1m box sh -c df\\ /t|tail\\ -n1|wc\\ -l' },
  { args: 'run -d --network none --name web -l team=ml box sleep 600' },
  { args: 'run -d --network none --name web box true', error: /[Cc]onflict.*"\/web" is already in use/s },
  { args: 'ps --format {{.Names}}\\ {{.Image}}\\ {{.State}}' },
  { args: 'ps -q --filter label=team=ml --format {{.Names}}' },
  { args: 'container ls -a --filter name=^/web$ --format {{.Names}}' },
  { args: 'exec web echo in' },
  { args: 'exec -u 1000 -w /data -e X=y web sh -c echo\\ $X\\ $(id\\ -u)\\ $(pwd)' },
  { args: 'exec web no-such-command', silent: true },
  { args: 'exec -w /no/such/folder web true', silent: true },
  { args: 'exec -w /data/seed web true', silent: true },
  { args: 'exec -w data web true', silent: true },
  { args: 'exec -d -w data web true', silent: true },
  {
    args: 'create --network none -w data box true',
    error: /working directory 'data' is invalid, it needs to be an absolute path/,
  },
  { args: 'cp HERE/given web:/data/given' },
  { args: 'exec web cat /data/given' },
  { args: 'cp web:/data HERE/out' },
  { args: 'cp web:/no/such HERE', silent: true },
  { args: 'cp HERE web:/data/given', error: /cannot copy (a )?directory/ },
  { args: 'inspect -f {{.Name}}\\ {{.State.Status}}\\ {{.Config.Labels.team}} web' },
  { args: 'inspect -f {{range\\ .Mounts}}{{.Type}}{{end}}|{{len\\ .Config.Cmd}}|{{join\\ .Config.Cmd\\ ","}} web' },
  { args: 'inspect -f {{.Nope}} web', error: /template parsing error/ },
  // What Docker's types have and its JSON leaves out.
  { args: 'inspect -f {{.State.Health}}|{{.Config.Healthcheck}}|{{.Config.Shell}}|{{.Config.StopTimeout}} web' },
  { args: 'inspect -f {{.HostConfig.Mounts}}|{{.HostConfig.StorageOpt}}|{{.SizeRw}}|{{.ImageManifestDescriptor}} web' },
  {
    args: 'inspect -f {{.Config.ArgsEscaped}}|{{.Config.NetworkDisabled}}|{{.HostConfig.Annotations}}|{{.HostConfig.Sysctls}} web',
  },
  { args: 'inspect -f {{if\\ .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} web' },
  { args: 'inspect -f {{.State.Health.Status}} web', error: /map has no entry for key "Health"/ },
  { args: 'inspect -f {{.Config.Healthcheck}}|{{.Config.Shell}}|{{.Author}}|{{.Comment}}|{{.Variant}} box' },
  { args: 'inspect nope', error: /[Nn]o such object: nope/ },
  { args: 'volume ls -q' },
  { args: 'volume inspect -f {{.Name}}\\ {{.Driver}} models' },
  { args: 'rm web', error: /container is running/ },
  { args: 'stop -t 0 web' },
  { args: 'wait web' },
  { args: 'cp web:/data/seed -', silent: true },
  { args: 'ps -a --filter exited=137 --format {{.Names}}' },
  { args: 'rm -v web' },
  { args: 'rm web', error: /No such container: web/ },
  { args: 'container remove web', error: /No such container: web/ },
  { args: 'image remove nope:1', silent: true },
  { args: 'run --network none --name done box sh -c echo\\ out;echo\\ err>&2' },
  { args: 'logs done' },
  { args: 'logs --tail EMPTY --since EMPTY --until EMPTY done' },
  { args: 'inspect -f EMPTY done', silent: true },
  {
    args:
      'run --rm --network none --name EMPTY --platform EMPTY --pull EMPTY --ip EMPTY --mac-address EMPTY --ipc EMPTY --uts EMPTY ' +
      '--userns EMPTY --cgroupns EMPTY --log-driver EMPTY --cidfile EMPTY --cpuset-cpus EMPTY --detach-keys EMPTY box echo unset',
  },
  { args: 'volume create EMPTY', silent: true },
  { args: 'volume prune -f', silent: true },
  {
    args: 'run --rm --network none --dns-search a\\ b box true',
    error: /a b is not a valid domain/,
  },
  { args: 'network rm -f nope' },
  { args: 'rm done nope', error: /No such container: nope/ },
  { args: 'tag box box:two' },
  { args: 'images -q --filter reference=box:* --format {{.Tag}}' },
  { args: 'rmi box:two' },
  { args: 'volume rm models' },
  { args: 'volume rm models', error: /no such volume/ },
  { args: 'volume create --label a=b made' },
  { args: 'volume ls -q --filter label=a=b' },
  { args: 'volume ls --filter label=a=b --format {{.Name}}|{{.Label\\ "a"}}|{{.Label\\ "none"}}' },
  { args: 'volume prune -f -a', silent: true },
  { args: 'container prune -f', silent: true },
  // What was asked for, as inspect shows it.
  {
    args:
      'create --name asked --network none -m 64m --cpus 1.5 --pids-limit 50 --shm-size 32m --restart on-failure:3 --cap-add NET_ADMIN ' +
      '--cap-drop MKNOD --read-only --init --stop-timeout 3 --stop-signal SIGINT --label a=b --entrypoint sh -v HERE:/w:ro --tmpfs /t ' +
      '-u 1000:1000 -w /data -e A=1 --expose 9000 --add-host db:10.0.0.9 --ulimit nofile=64:128 --group-add 5 -h here box -c true',
  },
  {
    args: 'inspect -f {{.HostConfig.Memory}}|{{.HostConfig.NanoCpus}}|{{.HostConfig.PidsLimit}}|{{.HostConfig.ShmSize}}|{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}} asked',
  },
  {
    args: 'inspect -f {{json\\ .HostConfig.Binds}}|{{json\\ .HostConfig.Tmpfs}}|{{.HostConfig.ReadonlyRootfs}}|{{.HostConfig.Init}} asked',
  },
  {
    args: 'inspect -f {{json\\ .HostConfig.ExtraHosts}}|{{json\\ .HostConfig.GroupAdd}}|{{.HostConfig.NetworkMode}} asked',
  },
  { args: 'inspect -f {{json\\ .HostConfig.CapDrop}}|{{json\\ .HostConfig.CapAdd}} asked' },
  {
    args: 'inspect -f {{.HostConfig.IpcMode}}|{{.HostConfig.Privileged}}|{{.HostConfig.LogConfig.Type}}|{{.HostConfig.AutoRemove}} asked',
  },
  {
    args: 'inspect -f {{.Config.User}}|{{.Config.WorkingDir}}|{{.Config.StopSignal}}|{{.Config.StopTimeout}}|{{.Config.Hostname}} asked',
  },
  {
    args: 'inspect -f {{json\\ .Config.Cmd}}|{{json\\ .Config.Entrypoint}}|{{json\\ .Config.Labels}} asked',
  },
  {
    args: 'inspect -f {{json\\ .Config.ExposedPorts}}|{{json\\ .Config.Volumes}}|{{.Config.Tty}}|{{.Config.OpenStdin}} asked',
  },
  {
    args: 'inspect -f {{.State.Status}}|{{.State.Running}}|{{.State.ExitCode}}|{{.RestartCount}}|{{.Path}}|{{.Args}} asked',
  },
  { args: 'ps -a --filter status=created --format {{.Names}}|{{.Image}}|{{.State}}|{{.Status}}' },
  { args: 'ps -a --filter name=asked --format {{.Label\\ "a"}}|{{.Labels}}' },
  {
    args: 'inspect -f {{.HostConfig.BlkioWeight}}|{{json\\ .HostConfig.Links}}|{{.HostConfig.Isolation}}|{{.HostConfig.CpuCount}}|{{json\\ .HostConfig.BlkioDeviceReadBps}} asked',
  },
  { args: 'inspect -f {{.Config.OnBuild}}|{{.ExecIDs}}|{{.Platform}}|{{.MountLabel}}|{{.ProcessLabel}} asked' },
  { args: 'inspect -f {{.HostConfig.Links}}|{{.HostConfig.MemorySwappiness}}|{{.HostConfig.VolumesFrom}} asked' },
  {
    args: 'inspect -f {{.NetworkSettings.Bridge}}|{{.NetworkSettings.HairpinMode}}|{{.NetworkSettings.LinkLocalIPv6PrefixLen}} asked',
  },
  { args: 'start asked' },
  { args: 'wait asked' },
  { args: 'rm -v asked' },
  // A life: health, pause, rename, restart, kill.
  { args: 'run -d --network none --name well --health-cmd test\\ -e\\ /data/seed --health-interval 1s box sleep 600' },
  { args: 'inspect -f {{.State.Health.Status}} well', until: 'healthy\n' },
  { args: 'inspect -f {{json\\ .Config.Healthcheck}} well' },
  { args: 'pause well' },
  { args: 'ps --filter name=well --format {{.State}}' },
  { args: 'exec well true', error: /is paused/ },
  { args: 'unpause well' },
  { args: 'unpause well', error: /is not paused/ },
  { args: 'rename well better' },
  { args: 'rename better better', silent: true },
  { args: 'exec -d better touch /data/later' },
  { args: 'top better', silent: true },
  { args: 'exec better sh -c echo\\ new>/new;rm\\ /bin/vi' },
  { args: 'diff better', silent: true },
  { args: 'commit -c CMD\\ ["cat","/new"] better kept:1' },
  { args: 'run --rm --network none kept:1' },
  { args: 'history --format {{.CreatedBy}} -q kept:1', silent: true },
  { args: 'kill -s USR1 nope', error: /No such container: nope/ },
  { args: 'restart -t 0 better' },
  { args: 'exec -d better no-such-command', silent: true },
  { args: 'stop -t -1 nope', silent: true },
  { args: 'run --rm --network none --stop-timeout -1 box true' },
  { args: 'kill better' },
  { args: 'wait better' },
  { args: 'kill better', error: /is not running/ },
  { args: 'start nope', error: /No such container: nope/ },
  { args: 'port better', silent: true },
  { args: 'port better 9000', error: /No public port '9000' published for better/ },
  { args: 'update --restart ever better', error: /invalid restart policy: unknown policy 'ever'/ },
  { args: 'update better', error: /you must provide one or more flags/ },
  { args: 'inspect --type thing better', error: /unknown type: "thing"/ },
  { args: 'cp HERE HERE/other', error: /must specify at least one container source/ },
  { args: 'load -i HERE/nothing.tar', silent: true },
  { args: 'export -o HERE/no/such/x.tar better', silent: true },
  { args: 'build HERE/nothing', error: /nothing" not found/ },
  { args: 'inspect -f {{range\ .Mounts}}{{.Destination}}|{{.Mode}}|{{.RW}}{{end}} better' },
  { args: 'logs nope', error: /No such container: nope/ },
  { args: 'exec better true', error: /is not running/ },
  // What was done to one container, in the order in which it was done.
  { args: 'run -d --network none --name told -l team=told box sleep 600' },
  { args: 'exec told sh -c exit\\ 3' },
  { args: 'top told', silent: true },
  { args: 'cp HERE/given told:/given' },
  { args: 'cp told:/given HERE/again' },
  { args: 'export -o HERE/told.tar told' },
  { args: 'rename told said' },
  { args: 'commit -m why said said:1' },
  { args: 'restart -t 0 said' },
  { args: 'rm -f -v said' },
  // Docker reads `--until 0s` as the beginning of this second.
  { args: 'run --rm --network none box sleep 1' },
  {
    args:
      'events --since 1h --until 0s --filter type=container --filter label=team=told --filter event=exec_create --filter event=exec_start ' +
      '--filter event=exec_die --filter event=top --filter event=extract-to-dir --filter event=archive-path --filter event=export ' +
      '--filter event=rename --filter event=restart --filter event=start --filter event=destroy ' +
      '--format {{.Action}}',
  },
  { args: 'rmi said:1', silent: true },
  // Limits of devices, and what goes with a limit of memory.
  {
    args: 'run --rm --network none --device-read-bps sda:1mb box true',
    error: /bad format for device path: sda:1mb/,
  },
  { args: 'run --rm --network none --device-read-iops /dev/sda:1mb box true', error: /invalid rate for device/ },
  { args: 'run --rm --network none --blkio-weight-device /dev/sda:5 box true', error: /invalid weight for device/ },
  { args: 'create --network none --name bounded -m 64m --disable-content-trust --isolation default box true' },
  { args: 'inspect -f {{.HostConfig.Memory}}|{{.HostConfig.MemorySwap}} bounded' },
  { args: 'update -m 256m bounded', error: /Memory limit should be smaller than already set memoryswap limit/ },
  { args: 'update -m 256m --memory-swap 512m bounded' },
  { args: 'rm -v bounded' },
  {
    args: 'run --rm --network none --tmpfs /new --tmpfs /tmp --tmpfs /closed:mode=700 box stat -c %a /new /tmp /closed',
  },
  { args: 'run --network none --name sized2 box sh -c head\\ -c\\ 100000\\ /dev/zero>/f;ln\\ /f\\ /g;mkdir\\ /d' },
  { args: 'inspect -s -f {{.SizeRw}} sized2' },
  { args: 'rm -v sized2' },
  { args: 'run --rm --network none -v HERE:/b:ro,rw box true', silent: true },
  { args: 'ps -n 0 --format {{.Names}}' },
  { args: 'ps -a --filter =a', silent: true },
  { args: 'cp better: HERE', silent: true },
  // Images out and in again.
  { args: 'save -o HERE/kept.tar kept:1' },
  { args: 'rmi -f kept:1', silent: true },
  { args: 'run --pull never --rm kept:1', error: /[Nn]o such image: kept:1|kept:1/ },
  { args: 'load -i HERE/kept.tar' },
  { args: 'run --rm --network none kept:1' },
  { args: 'load -i HERE/given', silent: true },
  { args: 'export -o HERE/files.tar better' },
  { args: 'import HERE/files.tar flat:1' },
  { args: 'run --rm --network none flat:1 /bin/cat /new' },
  { args: 'images --format {{.Repository}}:{{.Tag}}' },
  { args: 'events --since 1h --until 0s --filter type=image --filter event=load --format {{.Type}}|{{.Action}}' },
  {
    args: 'events --since 1h --until 0s --filter container=asked --filter event=create --filter event=destroy --format {{.Type}}|{{.Action}}|{{.Actor.Attributes.name}}',
  },
  { args: 'logs --since soon better', silent: true },
  { args: 'ps --filter status=gone', silent: true },
  { args: 'run -it box true', silent: true },
  { args: 'imges', silent: true },
  { args: 'image lss', silent: true },
  { args: 'image', silent: true },
  {
    args: 'run --rm --network none -u 1000 box cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range',
  },
  { args: 'image inspect -f {{.Os}}|{{json\\ .Config.Cmd}}|{{len\\ .RootFS.Layers}} flat:1' },
  { args: 'image inspect nope:1', error: /[Nn]o such image: nope:1|nope:1: it is not in the store/ },
  { args: 'tag nope:1 x:1', error: /[Nn]o such image: nope:1|nope:1: it is not in the store/ },
  { args: 'rmi nope:1', error: /[Nn]o such image: nope:1|nope:1: it is not in the store/ },
  { args: 'rmi box', error: /unable to (delete|remove)|must be forced|container better uses it/ },
  // Networks by name.
  { args: 'network rm bridge-of-nobody', error: /network bridge-of-nobody not found/ },
  { args: 'run --rm --network nobody box true', error: /network nobody not found/ },
  { args: 'network create --subnet SUBNET.0/24 --ip-range SUBNET.128/25 --label a=b lessons', silent: true },
  { args: 'network create lessons', error: /network with name lessons already exists/ },
  { args: 'network create --subnet SUBNET.0/25 other', error: /Pool overlaps with other one on this address space/ },
  { args: 'network inspect -f {{.Driver}}|{{json\\ .IPAM.Config}}|{{json\\ .Labels}}|{{.Internal}} lessons' },
  { args: 'network ls --filter label=a --format {{.Name}}|{{.Driver}}|{{.Scope}}' },
  { args: 'network ls --filter label=a --format {{.Name}}|{{.Label\\ "a"}}' },
  { args: 'network ls --filter dangling=true --format {{.Name}}' },
  { args: 'network ls --filter foo=bar', error: /invalid filter 'foo'/ },
  { args: 'create --name placed --network lessons --network-alias here box true', silent: true },
  { args: 'inspect -f {{range\\ $k,$v:=.NetworkSettings.Networks}}{{$k}}|{{json\\ $v.Aliases}}{{end}} placed' },
  { args: 'network create --ipv6 --label a=c six', silent: true },
  { args: 'network inspect -f {{.EnableIPv4}}|{{.EnableIPv6}}|{{len\\ .IPAM.Config}} six' },
  { args: 'network ls --filter label=a=c --format {{.Name}}|{{.IPv6}}' },
  {
    args: 'network create --subnet 10.78.1.0/24 --subnet 10.78.2.0/24 other',
    error: /bridge driver doesn't support multiple subnets/,
  },
  { args: 'network create --ipv4=false other', error: /IPv4 or IPv6 must be enabled/ },
  {
    args: 'network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated other',
    error: /gateway mode 'isolated' can only be used for an internal network/,
  },
  { args: 'network create -o com.docker.network.bridge.enable_icc=maybe other', silent: true },
  {
    args: 'create --name linked --network name=six,alias=q,gw-priority=3,link-local-ip=169.254.9.9 --link placed:store --link placed box true',
    silent: true,
  },
  {
    args: 'inspect -f {{json\\ .HostConfig.Links}}{{with\\ index\\ .NetworkSettings.Networks\\ "six"}}{{json\\ .Links}}{{json\\ .IPAMConfig}}{{json\\ .Aliases}}{{.GwPriority}}{{json\\ .DriverOpts}}{{end}} linked',
  },
  {
    args: 'run --rm --network six --ip 10.1.2.3 box true',
    error: /only when connecting to networks with user configured subnets/,
  },
  { args: 'run --rm --network lessons --ip SUBNET.7 --ip6 fd00::7 box true', silent: true },
  {
    args: 'run --rm --network six --link-local-ip 10.1.2.3 box true',
    error: /invalid link local IP address: 10\.1\.2\.3/,
  },
  { args: 'run --rm --network host --link x:y box true', error: /conflicting options/ },
  { args: 'run --rm --network name=six,gw-priority=high box true', error: /invalid gw-priority \(high\)/ },
  { args: 'run --network none --name broken box no-such-command', silent: true },
  { args: 'ps -a --filter name=broken --format {{.Names}}|{{.State}}|{{.Status}}' },
  { args: 'inspect -f {{.State.Status}}|{{.State.ExitCode}} broken' },
  { args: 'start broken', silent: true },
  { args: 'rm -v linked broken' },
  { args: 'network rm six' },
  { args: 'network prune -f' },
  { args: 'rm -v placed' },
  { args: 'network prune -f --filter label!=a' },
  { args: 'network prune -f --filter label=a' },
  // What is asked for beside the usual.
  { args: 'run -d --network none --name sized box sh -c head\\ -c\\ 100000\\ /dev/zero>/f;exec\\ sleep\\ 600' },
  { args: 'ps --filter name=sized --format table\\ {{.Names}}\\t{{.Image}}\\t{{.Command}}' },
  { args: 'ps --filter is-task=true -q' },
  { args: 'ps --filter isolation=default --format {{.Names}}' },
  { args: 'ps --filter foo=bar', error: /invalid filter 'foo'/ },
  { args: 'rm -f -v sized' },
  { args: 'create -a stdout --network none --name attached box true' },
  { args: 'inspect -f {{.Config.AttachStdin}}|{{.Config.AttachStdout}}|{{.Config.AttachStderr}} attached' },
  { args: 'create -a nowhere box true', error: /valid streams are STDIN, STDOUT and STDERR/ },
  { args: 'rm -v attached' },
  { args: 'image inspect --platform linux/s390x box', error: /does not match the specified platform \(linux\/s390x\)/ },
  { args: 'history --platform linux/s390x box', error: /does not match the specified platform \(linux\/s390x\)/ },
  { args: 'rmi --platform linux/s390x box', error: /does not match the specified platform \(linux\/s390x\)/ },
  { args: 'rmi --force nope:1', error: /[Nn]o such image: nope:1|nope:1: it is not in the store/ },
  { args: 'volume rm -f nope' },
  { args: 'images b* --format {{.Repository}}' },
  { args: 'inspect -f {{ box', silent: true },
  { args: 'ps --format {{', silent: true },
  { args: 'volume create -o type=none -o o=bind -o device=HERE elsewhere' },
  { args: 'volume inspect -f {{index\\ .Options\\ "device"}}|{{.Options.o}} elsewhere' },
  { args: 'run --rm --network none -v elsewhere:/e box cat /e/given' },
  { args: 'volume create -o type=tmpfs -o device=tmpfs -o o=size=1m memory' },
  { args: 'run --rm --network none -v memory:/m box sh -c df\\ /m|tail\\ -n1|wc\\ -w;ls\\ /m' },
  { args: 'volume create -o foo=bar wrong', error: /invalid option: "foo"/ },
  { args: 'volume create -o o=bind wrong', error: /missing required option: "device"/ },
  { args: 'volume rm elsewhere memory' },
  {
    args: 'run --rm --network none --gpus all box true',
    error: /could not select device driver "" with capabilities: \[\[gpu\]\]/,
  },
  {
    args: 'run --rm --network none --device nvidia.com/gpu=all box true',
    error: /CDI device injection failed: unresolvable CDI devices nvidia\.com\/gpu=all/,
  },
  { args: 'run --gpus many box', error: /invalid count \(many\): value must be either "all" or an integer/ },
  // Templates as people use them.
  {
    args: 'run -d --name served --network host -p 127.0.0.1:0:8000 --health-cmd true --health-interval 1h box sleep 600',
    silent: true,
  },
  { args: 'ps --filter name=served --format table\\ {{.Names}}\\t{{.Image}}\\t{{.State}}' },
  { args: 'inspect -f {{.State.Health.Status}}|{{.State.Running}}|{{.HostConfig.NetworkMode}} served' },
  { args: 'inspect -f {{with\\ .State.Health}}{{len\\ .Log}}{{end}} served' },
  { args: 'inspect -f {{json\\ .Config.Env}} served' },
  { args: 'inspect -f {{range\\ .Config.Env}}{{println\\ .}}{{end}} served' },
  { args: 'inspect -f {{range\\ $p,$c:=.NetworkSettings.Ports}}{{$p}}{{end}} served' },
  { args: 'inspect -f {{if\\ eq\\ .State.Status\\ "running"}}yes{{else}}no{{end}} served' },
  {
    args: 'inspect -f {{printf\\ "%.12s"\\ .Id}}|{{slice\\ .Id\\ 0\\ 4|len}}|{{upper\\ .Name}}|{{title\\ "a"}} served',
  },
  { args: 'inspect -f {{(index\\ (index\\ .NetworkSettings.Ports\\ "8000/tcp")\\ 0).HostPort}} served', silent: true },
  { args: 'inspect -f {{index\\ .RepoDigests\\ 0}} box', silent: true },
  { args: 'images --format {{json\\ .}} nope' },
  { args: 'volume ls --format {{.Nope}}', silent: true },
  { args: 'rm -f -v served' },
  // The end of the lesson.
  // What a flag names is not there, or is none: each command has a code of its own for that.
  { args: 'run --rm --network none --device /dev/no-such-device box true', silent: true },
  { args: 'run --rm --network none --cidfile HERE/no/such/id box true', silent: true },
  { args: 'create --network none --cidfile HERE/no/such/id box true', silent: true },
  { args: 'run --rm --network none --sysctl kernel.panic=1 box true', error: /sysctl 'kernel.panic=1' is not allowed/ },
  { args: 'run --rm --network none --sysctl net.ipv4.nothing=1 box true', silent: true },
  { args: 'run --rm --network none --device-read-bps /dev/no-such-device:1mb box true', silent: true },
  {
    args: 'run --rm --network none --uts host --hostname here box true',
    error: /conflicting options: hostname and the UTS mode/,
  },
  {
    args: 'run --rm --network none --memory-reservation 1k box true',
    error: /Minimum memory reservation allowed is 6MB/,
  },
  { args: 'run --rm --network none --sysctl net.ipv4.ip_forward=much box true', silent: true },
  { args: 'create --network none --name parameter --sysctl net.ipv4.nothing=1 box true', silent: true },
  { args: 'start parameter', silent: true },
  { args: 'inspect -f {{.State.ExitCode}} parameter' },
  { args: 'rm -v parameter' },
  { args: 'run --rm --network none --log-driver local --log-opt max-file=3 box echo local' },
  { args: 'exec --env-file HERE/nothing better true', error: /no such file or directory/ },
  { args: 'exec --detach-keys ctrl-1 better true', silent: true },
  { args: 'network create --aux-address a=b other', error: /no matching subnet/ },
  { args: 'network create -o com.docker.network.bridge.name=lo other', error: /existing interface lo is not a bridge/ },
  { args: 'run -d --network none --init --ipc=host --user 1000:1000 box sleep 600' },
  { args: 'stop -t 0 $(ps\\ -a\\ -q)' },
  { args: 'rm -v $(ps\\ -a\\ -q)' },
  { args: 'ps -a -q' },
  { args: 'rmi -f $(images\\ -a\\ -q)', silent: true },
  { args: 'images -q' },
  { args: 'run', silent: true },
  { args: 'run --no-such-flag box', error: /unknown flag: --no-such-flag/ },
];

(reason === undefined ? describe : describe.skip)('the same command lines with docker and with berth', () => {
  let docker: Docker;
  let store: Berth;
  const folders: Record<'docker' | 'berth', string> = { docker: '', berth: '' };

  beforeAll(async () => {
    [store, docker] = await Promise.all([createBerth(), startDocker()]);
    const context = join(store.work, 'context');
    await mkdir(join(context, 'bin'), { recursive: true });
    await copyFile(BUSYBOX, join(context, 'bin/busybox'));
    await chmod(join(context, 'bin/busybox'), 0o755);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    for (const side of ['docker', 'berth'] as const) {
      folders[side] = join(store.work, side);
      await mkdir(folders[side]);
      await writeFile(join(folders[side], 'given'), 'given\n');
    }
    const built = [
      await store.berth(['build', '-q', '-t', 'box', context]),
      await docker.docker(['build', '-q', '--network=none', '-t', 'box', context]),
    ];
    for (const { code, stderr } of built) if (code !== 0) throw new Error(`the image was not built: ${stderr}`);
  }, 300_000);
  afterAll(async () => {
    await docker.stop();
    await store.remove();
  });

  /** The words of a side, `$(…)` by what its own command prints. */
  const wordsOf = async (args: string, side: 'docker' | 'berth'): Promise<readonly string[]> => {
    const words = split(args.replaceAll('HERE', folders[side]).replaceAll('SUBNET', SUBNETS[side])).map(
      async (word) => {
        const inner = /^\$\((.*)\)$/.exec(word)?.[1];
        if (inner === undefined) return [word];
        const { stdout } =
          side === 'docker' ? await docker.docker(inner.split(' ')) : await store.berth(inner.split(' '));
        return [...new Set(stdout.split('\n').filter(Boolean))];
      },
    );
    return (await Promise.all(words)).flat();
  };

  test.each(STEPS)('$args', async ({ args, input, silent, error, until }) => {
    const with_ = input === undefined ? {} : { input };
    const act = async (side: 'docker' | 'berth'): Promise<Outcome> => {
      const words = await wordsOf(args, side);
      const due = performance.now() + 20_000;
      for (;;) {
        const outcome = await (side === 'docker' ? docker.docker(words, with_) : store.berth(words, with_));
        if (until === undefined || outcome.stdout === until || performance.now() > due) return outcome;
      }
    };
    const [theirs, ours] = [await act('docker'), await act('berth')];
    const shown = ({ code, stdout }: Outcome, side: 'docker' | 'berth'): unknown =>
      silent ? { code } : { code, stdout: normalize(stdout, folders[side]) };
    expect(shown(ours, 'berth')).toEqual(shown(theirs, 'docker'));
    if (error) for (const { stderr } of [theirs, ours]) expect(stderr).toMatch(error);
  });

  test('leave the same files behind', async () => {
    for (const name of ['made', 'out/seed', 'out/given']) {
      const [theirs, ours] = await Promise.all(
        [folders.docker, folders.berth].map((folder) => readFile(join(folder, name), 'utf8')),
      );
      expect(ours).toBe(theirs);
    }
  });
});

const DOCKERFILE = [
  'FROM scratch',
  'COPY . /',
  'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; mkdir -p /data /tmp; echo seed > /data/seed"]',
  'ENV GREETING=hi PATH=/bin',
  'VOLUME /data',
  'CMD ["sh"]',
].join('\n');

/** Words at blanks; a backslash keeps one, and EMPTY is a word without letters. */
function split(line: string): readonly string[] {
  const words = line.match(/(?:\\.|[^\s\\])+/g)?.map((word) => word.replaceAll('\\ ', ' ')) ?? [];
  return words.map((word) => (word === 'EMPTY' ? '' : word));
}

/** Ids, which are each side's own; the order of names is nobody's. */
function normalize(text: string, folder: string): string {
  return text
    .replaceAll(folder, 'HERE')
    .replaceAll(/10\.77\.[89]\./g, 'SUBNET.')
    .replace(/\b[0-9a-f]{64}\b/g, 'ID')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID');
}

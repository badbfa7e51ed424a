/** System calls with one reason to be allowed, or refused. */
export interface CallGroup {
  /** Why they stand together. */
  readonly reason: string;
  readonly names: readonly string[];
  /** All must hold. */
  readonly args?: readonly CallArgument[];
  /** When the group is part of the filter; left out: always. */
  readonly when?: {
    readonly capability?: string;
    readonly without?: string;
    /** As Go names them. */
    readonly architectures?: readonly string[];
    readonly kernel?: readonly [number, number];
  };
  /** The answer of a refusal; left out: EPERM. */
  readonly errno?: number;
}

/** A condition on an argument. With `mask`: `argument & mask` equals `value`. */
export interface CallArgument {
  readonly index: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_LT' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ';
  readonly value: number;
  readonly mask?: number;
}

/** Calls that any process may make. */
export const ALLOWED: readonly CallGroup[] = [
  {
    reason: 'Opening, naming and removing files: ordinary permissions decide',
    names: words(`
      access chdir close close_range creat dup dup2 dup3 faccessat faccessat2 fchdir getcwd link linkat mkdir
      mkdirat mknod mknodat name_to_handle_at open openat openat2 readlink readlinkat rename renameat renameat2
      rmdir symlink symlinkat umask unlink unlinkat
    `),
  },
  {
    reason: 'Reading and writing what an open descriptor stands for',
    names: words(`
      _llseek cachestat copy_file_range fadvise64 fadvise64_64 fallocate fcntl fcntl64 fdatasync flock fsync
      ftruncate ftruncate64 getdents getdents64 ioctl lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2
      read readahead readv sendfile sendfile64 splice sync sync_file_range syncfs tee truncate truncate64
      vmsplice write writev
    `),
  },
  {
    reason: 'Attributes of files: owners, modes, times, extended attributes. The kernel checks capabilities itself',
    names: words(`
      chmod chown chown32 fchmod fchmodat fchmodat2 fchown fchown32 fchownat fgetxattr flistxattr fremovexattr
      fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat getxattr getxattrat lchown lchown32
      lgetxattr listmount listxattr listxattrat llistxattr lremovexattr lsetxattr lstat lstat64 newfstatat
      removexattr removexattrat setxattr setxattrat stat stat64 statfs statfs64 statmount statx utime utimensat
      utimensat_time64 utimes
    `),
  },
  {
    reason: 'Waiting for events and for descriptors',
    names: words(`
      _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
      epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1
      inotify_rm_watch pause poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4
    `),
  },
  {
    reason: 'The old asynchronous interface; io_uring stays out, since its ring passes this filter by',
    names: words(`
      io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get
      ioprio_set
    `),
  },
  {
    reason: 'The address space of a process',
    names: words(`
      brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
      mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
      process_mrelease remap_file_pages
    `),
  },
  {
    reason: "Starting, waiting for and limiting processes in the container's own pid namespace",
    names: words(`
      execve execveat exit exit_group fork get_thread_area getcpu getpgid getpgrp getpid getppid getpriority
      getrlimit getrusage getsid gettid pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall
      riscv_hwprobe rseq set_thread_area set_tid_address setpgid setpriority setrlimit setsid times ugetrlimit
      uretprobe vfork wait4 waitid waitpid
    `),
  },
  {
    reason: 'Scheduling of own threads; real-time classes need a capability that the kernel checks',
    names: words(`
      sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
      sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
      sched_setparam sched_setscheduler sched_yield
    `),
  },
  {
    reason: 'Futexes and their lists',
    names: words(`
      futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list set_robust_list
    `),
  },
  {
    reason: "Signals among the container's own processes",
    names: words(`
      alarm kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
      rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill
    `),
  },
  {
    reason: 'Clocks and timers; setting a clock needs CAP_SYS_TIME, which adjtimex and clock_adjtime check themselves',
    names: words(`
      adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
      clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create
      timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
      timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    `),
  },
  {
    reason: 'User and group ids, capabilities',
    names: words(`
      capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid
      getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
      setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32
      setuid setuid32
    `),
  },
  {
    reason: 'Sockets of every family but those refused below; the namespace decides what they reach',
    names: words(`
      accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
      recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair
    `),
  },
  {
    reason: "Pipes, System V and POSIX objects of the container's own ipc namespace",
    names: words(`
      ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
      mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 semctl semget semop semtimedop
      semtimedop_time64 shmat shmctl shmdt shmget
    `),
  },
  {
    reason: 'What only takes rights away from the caller',
    names: words(`
      landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
    `),
  },
  {
    reason: 'Reading facts about the machine',
    names: words(`
      getrandom sysinfo uname
    `),
  },
];

/** Every bit of clone's flags that makes a namespace: mount, cgroup, uts, ipc, user, pid, network. */
const NAMESPACE_FLAGS = [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
const NAMESPACE_MASK = NAMESPACE_FLAGS.reduce((sum, flag) => sum + flag, 0);
const AF_ALG = 38;
const AF_VSOCK = 40;
/** Plain Linux, 32-bit time layout and the two together, each with the address compatibility bits, and the query. */
const PERSONALITIES = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/** Calls that depend on arguments, on the container's capabilities, on the architecture or on the kernel. */
export const CONDITIONAL: readonly CallGroup[] = [
  {
    reason: 'Tracing own children: safe since 4.8, when ptrace no longer stepped around this filter',
    names: words('process_vm_readv process_vm_writev ptrace'),
    when: { kernel: [4, 8] },
  },
  ...(
    [
      { index: 0, op: 'SCMP_CMP_LT', value: AF_ALG },
      { index: 0, op: 'SCMP_CMP_EQ', value: AF_ALG + 1 },
      { index: 0, op: 'SCMP_CMP_GT', value: AF_VSOCK },
    ] as const
  ).map((arg): CallGroup => ({
    reason: 'Sockets of any other family than ALG and VSOCK',
    names: ['socket'],
    args: [arg],
  })),
  ...PERSONALITIES.map((value): CallGroup => ({
    reason: 'Personalities that do not weaken the address space layout',
    names: ['personality'],
    args: [{ index: 0, op: 'SCMP_CMP_EQ', value }],
  })),
  {
    reason: 'clone without a new namespace: threads and processes',
    names: ['clone'],
    args: [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value: 0, mask: NAMESPACE_MASK }],
    when: { without: 'CAP_SYS_ADMIN' },
  },
  {
    reason: 'Mounts, namespaces, tracing points: what the administrator of a machine does',
    names: words(`
      bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
      lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
      quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
    `),
    when: { capability: 'CAP_SYS_ADMIN' },
  },
  one('CAP_DAC_READ_SEARCH', 'Handles pass path permissions by', 'open_by_handle_at'),
  one('CAP_SYS_BOOT', 'Restarting the machine', 'reboot'),
  one('CAP_SYS_CHROOT', 'Changing the root of the caller', 'chroot'),
  one('CAP_SYS_MODULE', 'Kernel modules', 'delete_module init_module finit_module'),
  one('CAP_SYS_PACCT', 'Process accounting', 'acct'),
  one(
    'CAP_SYS_PTRACE',
    'Looking into other processes',
    'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  ),
  one('CAP_SYS_RAWIO', 'Ports of devices', 'iopl ioperm'),
  one('CAP_SYS_TIME', 'Setting the clock', 'settimeofday stime clock_settime clock_settime64'),
  one('CAP_SYS_TTY_CONFIG', 'Hanging up a terminal', 'vhangup'),
  one('CAP_SYS_NICE', 'Memory policy of nodes', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'),
  one('CAP_SYSLOG', 'The kernel log', 'syslog'),
  one('CAP_BPF', 'Programs in the kernel', 'bpf'),
  one('CAP_PERFMON', 'Performance counters', 'perf_event_open'),
  {
    reason: 'Segment bases and descriptor tables of x86',
    names: words('arch_prctl modify_ldt'),
    when: { architectures: ['amd64'] },
  },
  {
    reason: 'What only Arm has',
    names: words('arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2'),
    when: { architectures: ['arm64'] },
  },
];

/** Calls that are refused on purpose, by an error that says so; a group's calls that the capabilities allow are left out of it. */
export const REFUSED: readonly CallGroup[] = [
  {
    reason: 'clone3 has its flags behind a pointer, which a filter cannot read: without it, libraries use clone',
    names: ['clone3'],
    errno: 38,
  },
  ...NAMESPACE_FLAGS.map((flag): CallGroup => ({
    reason: 'New namespaces give capabilities in them and open much of the kernel',
    names: ['clone'],
    args: [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value: flag, mask: flag }],
  })),
  ...[AF_ALG, AF_VSOCK].map((family): CallGroup => ({
    reason: 'ALG is the kernel crypto interface with a history of holes, VSOCK reaches the host of a virtual machine',
    names: ['socket'],
    args: [{ index: 0, op: 'SCMP_CMP_EQ', value: family }],
  })),
  {
    reason:
      'An administrator call without its capability: "not permitted" is what programs look for, and what they fall back on',
    names: words(`
      acct bpf chroot clock_settime clock_settime64 delete_module fanotify_init finit_module fsconfig fsmount fsopen
      fspick get_mempolicy init_module ioperm iopl kcmp lookup_dcookie mbind mount mount_setattr move_mount
      open_by_handle_at open_tree perf_event_open pidfd_getfd process_madvise quotactl quotactl_fd reboot
      set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday stime syslog umount umount2
      unshare vhangup
    `),
  },
  {
    reason:
      'No container has a use for them: keyrings that are not namespaced, swapping, another kernel, page faults in user space',
    names: words(`
      add_key create_module get_kernel_syms kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl
      pivot_root query_module request_key swapoff swapon sysfs _sysctl userfaultfd uselib ustat vm86 vm86old
    `),
  },
];

function one(capability: string, reason: string, names: string): CallGroup {
  return { reason, names: words(names), when: { capability } };
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

#include "base/sandbox/sandbox.h"
#include "base/core/cleanup.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum group {
	GROUP_ALL = 1,
	GROUP_NETWORK = 2,
	GROUP_CONTROL = 4,
	GROUP_RULES = 8,
	GROUP_START = 16,
	GROUP_FOREIGN = 32,
	GROUP_ENDS = 64, /* not allowed, but distinguished */
	GROUP_SIGNALS = 128,
	GROUP_NAMESPACE = 256,
	GROUP_WATCH = 512,
	GROUP_ATTACK = 1024,  /* as GROUP_ENDS */
	GROUP_REFUSED = 2048, /* not allowed, and refused where all others are allowed */
};

static const uint32_t MISSING = SCMP_ACT_ERRNO(ENOSYS);

static const struct {
	int number;
	unsigned group;
} calls[] = {
#define CALLS(group, name) {SCMP_SYS(name), group},
#include "base/sandbox/calls.def"
#undef CALLS
};

#define NETWORK (GROUP_ALL | GROUP_NETWORK)
#define RULES   (NETWORK | GROUP_RULES | GROUP_SIGNALS)
#define PARENT  (NETWORK | GROUP_CONTROL | GROUP_SIGNALS | GROUP_START)

static const unsigned groups_of[] = {
	[SANDBOX_SIDECAR] = NETWORK,
	[SANDBOX_CONTROL] = NETWORK | GROUP_CONTROL,
	[SANDBOX_SIGNER] = GROUP_ALL,
	[SANDBOX_AGENT] = NETWORK | GROUP_CONTROL | GROUP_WATCH,
	[SANDBOX_COMMAND] = NETWORK,
	[SANDBOX_NOTIFIER] = NETWORK | GROUP_SIGNALS,
	[SANDBOX_RULES] = RULES,
	[SANDBOX_PARENT] = PARENT,
	[SANDBOX_STARTER] = PARENT | GROUP_RULES | GROUP_NAMESPACE,
	[SANDBOX_FOREIGN] = 0,
	[SANDBOX_MODULE] = NETWORK | GROUP_CONTROL | GROUP_WATCH | GROUP_FOREIGN,
};

/* Of clone(), whose lowest 8 bits are a signal: CLONE_NEWTIME is for clone3() and unshare() alone. */
static const unsigned long namespaces[] = {
	CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
#define NAMESPACES                                                                                                     \
	((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |   \
			CLONE_NEWNET))

/* Each returns 0 or a negative errno, like libseccomp. */

static int add_listed(scmp_filter_ctx filter, unsigned groups, uint32_t action)
{
	int result = 0;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
		if ((calls[i].group & groups) != 0)
			result = seccomp_rule_add(filter, action, calls[i].number, 0);
	return result;
}

/* Writable memory never becomes executable. */
static int allow_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_code);
	return result != 0 ? result : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_code);
}

/* abort() and getrlimit() of the own process. The control plane and its signer have one user, so neither may end or
 * starve the other. pid_t: the upper half of the register does not count. */
static int allow_own_process(scmp_filter_ctx filter)
{
	enum { PID_MASK = INT32_MAX };
	const struct scmp_arg_cmp is_own = SCMP_A0(SCMP_CMP_MASKED_EQ, PID_MASK, (scmp_datum_t)getpid()),
				  is_caller = SCMP_A0(SCMP_CMP_EQ, 0);
	int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &is_own);
	return result != 0 ? result
			   : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, &is_caller);
}

/* prctl: names of threads and memory. ioctl: terminal attributes and queue sizes of sockets. */
static int allow_requests(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = {TCGETS, FIONREAD, TIOCOUTQ, FIONBIO};
	static const unsigned long prctls[] = {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA */};
	int result = 0;
	for (size_t i = 0; i < sizeof ioctls / sizeof ioctls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; i < sizeof prctls / sizeof prctls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, prctls[i]));
	return result;
}

/* Stream and datagram sockets of the three families, and rtnetlink for the own addresses. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX}, types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	const unsigned type_mask = 0xf; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
	int result = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, 0));
	for (size_t i = 0; i < 9 && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i / 3]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, (scmp_datum_t)types[i % 3]));
	return result != 0 ? result
			   : seccomp_rule_add(
				     filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
}

/* Of libraries that are loaded: of files, never writable. */
static int allow_code(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp is_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC);
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &is_code);
}

/* A copy of the process in the same namespaces. */
static int allow_processes(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES, 0));
}

/* Nftables by netlink, number and flags of an interface. */
static int allow_rules(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = {SIOCGIFFLAGS, SIOCGIFINDEX, SIOCGIFNAME};
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
		SCMP_A2(SCMP_CMP_EQ, NETLINK_NETFILTER));
	for (size_t i = 0; i < sizeof ioctls / sizeof ioctls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	return result != 0 ? result /* the C library's list of capabilities */
			   : seccomp_rule_add(
				     filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_CAPBSET_READ));
}

/* A started program, or a child process, restricts itself further. */
static int allow_start(scmp_filter_ctx filter)
{
	static const unsigned long prctls[] = {
		PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_DUMPABLE};
	int result = 0;
	for (size_t i = 0; i < sizeof prctls / sizeof prctls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, prctls[i]));
	return result;
}

/* A network namespace that another process opened, and an interface there that is set up. */
static int allow_namespace(scmp_filter_ctx filter)
{
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setns), 1, SCMP_A1(SCMP_CMP_EQ, CLONE_NEWNET));
	return result != 0 ? result
			   : seccomp_rule_add(
				     filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, SIOCSIFFLAGS));
}

/* Every ioctl() but those of terminals ('T' in the second byte), by which input is injected (TIOCSTI, TIOCLINUX): a
 * token's driver has requests of its own. One rule per bit that can differ: the kernel takes 32 bits of the register,
 * so a comparison of the whole one could be passed by. And the events of devices that come and go. */
static int allow_foreign(scmp_filter_ctx filter)
{
	enum { TYPE_SHIFT = 8, TYPE_BITS = 8, TYPE_TERMINAL = 'T' };
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
		SCMP_A2(SCMP_CMP_EQ, NETLINK_KOBJECT_UEVENT));
	for (unsigned i = 0; i < TYPE_BITS && result == 0; i++) {
		const scmp_datum_t bit = 1u << (TYPE_SHIFT + i), terminal = (scmp_datum_t)TYPE_TERMINAL << TYPE_SHIFT;
		result = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, bit, ~terminal & bit));
	}
	return result;
}

/* Memory that is shared with a daemon, never code: SHM_EXEC would make it writable and executable. */
static int allow_shared_memory(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(shmat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, 0));
}

/* Threads in the same namespaces, no new processes. The arguments of clone3() are in memory, which a filter cannot
 * read: when it is missing the C library uses clone(). */
static int allow_threads(scmp_filter_ctx filter, uint32_t otherwise)
{
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES | CLONE_THREAD, CLONE_THREAD));
	return result != 0 || otherwise == MISSING ? result : seccomp_rule_add(filter, MISSING, SCMP_SYS(clone3), 0);
}

static const struct {
	unsigned groups;
	int (*allow)(scmp_filter_ctx filter);
} by_arguments[] = {{GROUP_ALL, allow_memory}, {GROUP_ALL, allow_own_process}, {GROUP_ALL, allow_requests},
	{GROUP_NETWORK, allow_sockets}, {GROUP_RULES | GROUP_FOREIGN, allow_code},
	{GROUP_RULES | GROUP_START, allow_processes}, {GROUP_RULES, allow_rules}, {GROUP_START, allow_start},
	{GROUP_NAMESPACE, allow_namespace}, {GROUP_FOREIGN, allow_foreign}, {GROUP_FOREIGN, allow_shared_memory}};

/* --- a program of the operator's --- */

/* The other ways into the same kernel: the programs of 32 bits that it runs, too. */
static int add_architectures(scmp_filter_ctx filter)
{
#if defined(__x86_64__)
	static const uint32_t others[] = {SCMP_ARCH_X86, SCMP_ARCH_X32};
#else
	static const uint32_t others[] = {SCMP_ARCH_ARM};
#endif
	int result = 0;
	for (size_t i = 0; i < sizeof others / sizeof others[0] && result == 0; i++)
		result = seccomp_arch_add(filter, others[i]);
	return result;
}

static int refuse_namespaces(scmp_filter_ctx filter)
{
	int result = seccomp_rule_add(filter, MISSING, SCMP_SYS(clone3), 0); /* as in allow_threads() */
	for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	return result;
}

static int refuse_attacks(scmp_filter_ctx filter)
{
	int result = add_architectures(filter);
	if (result == 0)
		result = add_listed(filter, GROUP_ATTACK | GROUP_REFUSED, SCMP_ACT_ERRNO(EPERM));
	return result != 0 ? result : refuse_namespaces(filter);
}

static int load(scmp_filter_ctx filter, unsigned groups, uint32_t otherwise)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0) /* else older kernels disable speculation for the process, which costs a third of the speed */
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (result == 0 && otherwise == SCMP_ACT_ALLOW)
		result = refuse_attacks(filter);
	else if (result == 0)
		result = add_listed(filter, groups, SCMP_ACT_ALLOW);
	if (result == 0 && otherwise == MISSING)
		result = add_listed(filter, GROUP_ENDS | GROUP_ATTACK, SCMP_ACT_KILL_PROCESS);
	if (result == 0 && (groups & GROUP_NETWORK) != 0)
		result = allow_threads(filter, otherwise);
	for (size_t i = 0; i < sizeof by_arguments / sizeof by_arguments[0] && result == 0; i++)
		if ((by_arguments[i].groups & groups) != 0)
			result = by_arguments[i].allow(filter);
	return result != 0 ? result : seccomp_load(filter);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

struct sandbox_version sandbox_library_version(void)
{
	const struct scmp_version *version = seccomp_version();
	return (struct sandbox_version){version->major, version->minor, version->micro};
}

bool sandbox_is_built_in(void)
{
	return !IS_SANITIZED;
}

/* Asks before libseccomp does, which reports a refused seccomp() as a lack of memory. */
static enum err may_filter(const char *expected, struct why *why)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		return ERR_NONE;
	if (errno == EINVAL || errno == EOPNOTSUPP)
		return why_set(why, ERR_UNSUPPORTED, expected, "run a kernel of Linux 4.14 or later",
			"the kernel's seccomp() lacks a filter that ends a process");
	return why_set(why, ERR_UNSUPPORTED, expected,
		"of a systemd unit: add `SystemCallFilter=seccomp` in a drop-in; of a container: a seccomp profile "
		"that allows it, such as RuntimeDefault",
		"the system call seccomp() is refused (%m) by a filter that the process was started with");
}

enum err sandbox_enter(enum sandbox_role role, struct why *why)
{
	static const char expected[] = "a process that may restrict its own system calls";
	if (!sandbox_is_built_in())
		return ERR_NONE;
	RETURN_IF_ERR(may_filter(expected, why));
	/* A library asks for calls to learn what the kernel has. */
	const uint32_t otherwise = role == SANDBOX_MODULE    ? MISSING
				   : role == SANDBOX_FOREIGN ? SCMP_ACT_ALLOW
							     : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int result = filter == NULL ? -ENOMEM : load(filter, groups_of[role], otherwise);
	if (filter != NULL)
		seccomp_release(filter);
	if (result == 0)
		return ERR_NONE;
	return why_set(why, ERR_UNSUPPORTED, expected,
		result == -ENOMEM ? "raise the process's memory limit (LimitAS, `ulimit -v`), or start it with fewer "
				    "filters above it"
				  : "check the seccomp profile that the process was started with",
		"the system call filter cannot be installed: %s", strerror(-result));
}

enum err sandbox_close(struct why *why)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_DUMPABLE, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return ERR_NONE;
	return why_set(why, ERR_SYSTEM, "a process without core dumps and new privileges",
		"check for a seccomp profile that forbids prctl", "prctl failed: %m");
}

enum err sandbox_drop_capabilities(struct why *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};
	if (syscall(SYS_capset, &header, none) == 0)
		return ERR_NONE;
	return why_set(why, ERR_SYSTEM, "a process that may give up its capabilities",
		"check for a seccomp profile that forbids capset", "capset failed: %m");
}

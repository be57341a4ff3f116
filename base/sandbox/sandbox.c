#include "base/sandbox/sandbox.h"
#include "base/core/cleanup.h"
#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum group { GROUP_ALL = 1, GROUP_NETWORK = 2, GROUP_CONTROL = 4, GROUP_RULES = 8 };

static const struct {
	int number;
	unsigned group;
} calls[] = {
#define CALLS(group, name) {SCMP_SYS(name), group},
#include "base/sandbox/calls.def"
#undef CALLS
};

static unsigned groups_of(enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_SIDECAR:
	case SANDBOX_COMMAND:
		return GROUP_ALL | GROUP_NETWORK;
	case SANDBOX_CONTROL:
		return GROUP_ALL | GROUP_NETWORK | GROUP_CONTROL;
	case SANDBOX_RULES:
		return GROUP_ALL | GROUP_NETWORK | GROUP_RULES;
	case SANDBOX_SIGNER:
		return GROUP_ALL;
	}
	return GROUP_ALL;
}

/* Each returns 0 or a negative errno, like libseccomp. */

static int allow_listed(scmp_filter_ctx filter, unsigned groups)
{
	int result = 0;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
		if ((calls[i].group & groups) != 0)
			result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].number, 0);
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

/* Nftables by netlink, number and flags of an interface, a copy of the process in the same namespaces, and code of
 * libraries that are loaded when a name is looked up: of files, never writable. */
static int allow_rules(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = {SIOCGIFFLAGS, SIOCGIFINDEX, SIOCGIFNAME};
	const struct scmp_arg_cmp is_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC);
	const unsigned long namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
					 CLONE_NEWPID | CLONE_NEWNET;
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
		SCMP_A2(SCMP_CMP_EQ, NETLINK_NETFILTER));
	if (result == 0)
		result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &is_code);
	for (size_t i = 0; i < sizeof ioctls / sizeof ioctls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	if (result == 0) /* the C library's list of capabilities */
		result = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_CAPBSET_READ));
	return result != 0 ? result
			   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
}

/* Threads, no new processes. The arguments of clone3() are in memory, which a filter cannot read: when it is missing
 * the C library uses clone(). */
static int allow_threads(scmp_filter_ctx filter)
{
	int result = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	return result != 0 ? result : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int load(scmp_filter_ctx filter, unsigned groups)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0) /* else older kernels disable speculation for the process, which costs a third of the speed */
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (result == 0)
		result = allow_listed(filter, groups);
	if (result == 0)
		result = allow_memory(filter);
	if (result == 0)
		result = allow_own_process(filter);
	if (result == 0)
		result = allow_requests(filter);
	if (result == 0 && (groups & GROUP_NETWORK) != 0)
		result = allow_sockets(filter);
	if (result == 0 && (groups & GROUP_NETWORK) != 0)
		result = allow_threads(filter);
	if (result == 0 && (groups & GROUP_RULES) != 0)
		result = allow_rules(filter);
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

enum err sandbox_enter(enum sandbox_role role, struct why *why)
{
	static const char expected[] = "a kernel that restricts the process's system calls (seccomp)";
	if (!sandbox_is_built_in())
		return ERR_NONE;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result = filter == NULL ? -ENOMEM : load(filter, groups_of(role));
	if (filter != NULL)
		seccomp_release(filter);
	if (result == 0)
		return ERR_NONE;
	return why_set(why, ERR_UNSUPPORTED, expected,
		"check whether the container's seccomp profile forbids seccomp()",
		"cannot install the system call filter: %s", strerror(-result));
}

#include "sidecar/process.h"

#include "base/core/check.h"
#include "base/core/number.h"
#include "base/net/fd.h"
#include "base/net/own_address.h"
#include "base/net/socket.h"
#include "base/sandbox/sandbox.h"
#include <errno.h>
#include <link.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 4,
	DESCRIPTORS_RESERVED = 256,
	CONNECTIONS_MIN = 16,
	TUNNELS_MIN = 16,
	STREAMS_PER_TUNNEL = 64,
	HANDSHAKES_MIN = 16,
	HANDSHAKES_MAX = 1024,
};

static const uint32_t NET_RAW = 1u << CAP_NET_RAW;

enum err process_harden(struct why *why)
{
	(void)signal(SIGPIPE, SIG_IGN);
	return sandbox_close(why);
}

static bool may_use_other_sources(void)
{
	_cleanup_fd_ int fd = -1;
	return fd_socket(AF_INET, SOCK_STREAM, &fd) == ERR_NONE && socket_set_transparent(fd, AF_INET);
}

enum err process_drop_net_raw(struct why *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	if (geteuid() == 0 || syscall(SYS_capget, &header, data) != 0 || (data[0].permitted & NET_RAW) == 0)
		return ERR_NONE;
	data[0].effective &= ~NET_RAW;
	data[0].permitted &= ~NET_RAW;
	data[0].inheritable &= ~NET_RAW;
	if (syscall(SYS_capset, &header, data) == 0)
		return ERR_NONE;
	return why_set(why, err_from_errno(errno), "a process that may give up CAP_NET_RAW",
		"check for a seccomp profile that forbids capset", "capset failed: %m");
}

/* Effective too: what a file gives is only permitted. */
enum err process_keep_net_raw(struct why *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct data[2] = {{.effective = NET_RAW, .permitted = NET_RAW}};
	bool is_kept = syscall(SYS_capset, &header, data) == 0;
	if (is_kept && may_use_other_sources())
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "CAP_NET_RAW, for connections in the callers' names (interception: tproxy)",
		"set AmbientCapabilities=CAP_NET_RAW (`setpriv --inh-caps +net_raw --ambient-caps +net_raw`), in a "
		"container use an image whose file has it, or set interception to redirect",
		"the sidecar has no CAP_NET_RAW in its network namespace");
}

unsigned long process_descriptors(void)
{
	return fd_limit_raise();
}

unsigned long process_tunnels(unsigned long descriptors)
{
	return descriptors / 8 < TUNNELS_MIN ? TUNNELS_MIN : descriptors / 8;
}

unsigned long process_direct_handshakes(unsigned long descriptors)
{
	unsigned long part = descriptors / 16;
	return part < HANDSHAKES_MIN ? HANDSHAKES_MIN : part > HANDSHAKES_MAX ? HANDSHAKES_MAX : part;
}

unsigned long process_connection_descriptors(unsigned long descriptors, unsigned long handshakes)
{
	unsigned long reserved = DESCRIPTORS_RESERVED + process_tunnels(descriptors) + handshakes;
	if (descriptors < reserved + 2 * CONNECTIONS_MIN)
		return 2 * CONNECTIONS_MIN;
	/* And one outbound tunnel for as many connections as it carries. */
	return (descriptors - reserved) / (STREAMS_PER_TUNNEL + 1) * STREAMS_PER_TUNNEL;
}

unsigned process_workers(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	return processors < 1 ? 1 : processors > WORKERS_MAX ? WORKERS_MAX : (unsigned)processors;
}

/* Writable ones hold what the start has changed. */
static void forget_segment(const ElfW(Phdr) * segment, uintptr_t base, uintptr_t page)
{
	if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0)
		return;
	uintptr_t start = (base + segment->p_vaddr) & ~(page - 1);
	uintptr_t end = base + segment->p_vaddr + segment->p_filesz;
	/* Fails only where there is nothing to return. */
	(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

static int forget_object(struct dl_phdr_info *object, size_t size, void *arg)
{
	(void)size;
	for (unsigned i = 0; i < object->dlpi_phnum; i++)
		forget_segment(&object->dlpi_phdr[i], object->dlpi_addr, *(const uintptr_t *)arg);
	return 1; /* the program itself is the first */
}

void process_forget_start(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(forget_object, &page);
}

static bool is_local_address(const char *text, struct ip_addr *out)
{
	struct ip_addr ip;
	bool is_local;
	if (ip_addr_parse(span_of_str(text), &ip) != ERR_NONE || own_address_has(&ip, 0, &is_local) != ERR_NONE ||
		!is_local)
		return false;
	*out = ip;
	return true;
}

bool process_has_ipv6(void)
{
	struct ip_addr loopback;
	return is_local_address("::1", &loopback);
}

unsigned process_conntrack_close_wait_s(void)
{
	_cleanup_(buf_done) struct buf file = BUF_INIT(16);
	if (fd_read_file("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait", 15, &file, NULL) != ERR_NONE)
		return 0;
	struct span text = buf_span(&file);
	return (unsigned)number_take(&text, UINT32_MAX);
}

struct app_sources process_app_sources(void)
{
	struct app_sources sources = {0};
	(void)is_local_address("169.254.15.6", &sources.v4);
	if (!is_local_address("100::6", &sources.v6))
		(void)is_local_address("::6", &sources.v6); /* the address that handfast-init 0.1.0 added */
	return sources;
}

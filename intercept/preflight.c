#include "intercept/preflight.h"
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/net/fd.h"
#include "intercept/apply.h"
#include "intercept/loopback_addr.h"
#include <linux/capability.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define TRY_TABLE(chain, rule) "table inet handfast_try {\nchain c {\n" chain "\n" rule "\n}\n}\n"
#define TRY_NAT(hook, rule)    TRY_TABLE("type nat hook " hook " priority 0", rule)
#define TRY_FILTER(rule)       TRY_TABLE("type filter hook output priority 0", rule)

#define REDIRECT "meta l4proto tcp redirect to :" FIXED_TEXT(FIXED_PORT_OUTBOUND)

/* Each row adds one feature to the rows before it, so the first row that fails names the missing feature. */
static const struct {
	const char *point;
	const char *commands;
	const char *missing;
} FEATURES[] = {
	{"nf_tables", "table inet handfast_try {\n}\n",
		"the kernel has no nf_tables for inet: load it on the node (`modprobe nf_tables`; "
		"CONFIG_NF_TABLES_INET)"},
	{"nat", TRY_NAT("output", ""),
		"the kernel has no nat chains: load them on the node (`modprobe nft_chain_nat`; CONFIG_NFT_NAT)"},
	{"redirect", TRY_NAT("output", REDIRECT),
		"the kernel has no redirect: load it on the node (`modprobe nft_redir`; CONFIG_NFT_REDIR)"},
	{"fib", TRY_NAT("prerouting", "fib daddr type local return"),
		"the kernel has no fib expression: load it on the node (`modprobe nft_fib_inet`; CONFIG_NFT_FIB_INET)"},
	{"conntrack", TRY_FILTER("ct state invalid counter drop"),
		"the kernel cannot match connection states: load it on the node (`modprobe nft_ct`; CONFIG_NFT_CT)"},
	{"reject", TRY_FILTER("meta l4proto tcp reject with tcp reset"),
		"the kernel cannot reject with a TCP reset: load it on the node (`modprobe nft_reject_inet`; "
		"CONFIG_NFT_REJECT_INET)"},
};

/* All of them at once: one trial instead of one per row, each of which takes 10 ms of a pod's start. */
#define ALL_FEATURES                                                                                                   \
	"table inet handfast_try {\n"                                                                                  \
	"chain n {\ntype nat hook output priority 0\n" REDIRECT "\n}\n"                                                \
	"chain p {\ntype nat hook prerouting priority 0\nfib daddr type local return\n}\n"                             \
	"chain f {\ntype filter hook output priority 0\nct state invalid counter drop\n"                               \
	"meta l4proto tcp reject with tcp reset\n}\n}\n"

bool preflight_status_has_capability(struct span status, unsigned capability)
{
	static const char key[] = "\nCapEff:\t";
	CHECK(capability < 64);
	const uint8_t *at = memmem(status.ptr, status.len, key, sizeof(key) - 1);
	char digits[17] = "";
	if (at == NULL || (size_t)(status.ptr + status.len - at) < sizeof(key) - 1 + 16)
		return false;
	memcpy(digits, at + sizeof(key) - 1, 16);
	return (strtoull(digits, NULL, 16) >> capability & 1) != 0;
}

bool preflight_has_net_admin(void)
{
	_cleanup_(buf_done) struct buf status = BUF_INIT(65536);
	return fd_read_file("/proc/self/status", 65536, &status, NULL) == ERR_NONE &&
	       preflight_status_has_capability(buf_span(&status), CAP_NET_ADMIN);
}

bool preflight_kernel_has_socket(void)
{
	return apply_try(TRY_NAT("prerouting", "meta l4proto tcp socket wildcard 0 return"), NULL) == ERR_NONE;
}

static bool lo_is_up(void)
{
	_cleanup_fd_ int fd = -1;
	struct ifreq request = {.ifr_name = "lo"};
	if (fd_socket(AF_INET, SOCK_DGRAM, &fd) != ERR_NONE || ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return false;
	return (request.ifr_flags & IFF_UP) != 0;
}

static enum err try_features(struct report *report)
{
	struct why why = {0};
	if (apply_try(ALL_FEATURES, NULL) == ERR_NONE)
		return ERR_NONE;
	for (size_t i = 0; i < sizeof(FEATURES) / sizeof(FEATURES[0]); i++) {
		enum err err = apply_try(FEATURES[i].commands, &why);
		if (err == ERR_NONE)
			continue;
		report_add(report, FINDING_FAILED, FEATURES[i].point, "%s (%s)",
			err == ERR_DENIED
				? "the kernel refuses nf_tables here: the network namespace belongs to another "
				  "user namespace; run in the one that owns it"
				: FEATURES[i].missing,
			why.got);
		return err == ERR_DENIED ? ERR_DENIED : ERR_UNSUPPORTED;
	}
	return ERR_NONE;
}

enum err preflight_run(bool kernel_has_socket, struct report *report)
{
	if (!preflight_has_net_admin()) {
		report_add(report, FINDING_FAILED, "capability",
			"CAP_NET_ADMIN is missing: add NET_ADMIN to this container's capabilities, or run as root");
		return ERR_DENIED;
	}
	RETURN_IF_ERR(try_features(report));
	if (!lo_is_up()) {
		report_add(report, FINDING_FAILED, "lo",
			"the interface lo is down; all redirected traffic uses it: run `ip link set lo up`");
		return ERR_UNSUPPORTED;
	}
	if (!kernel_has_socket)
		report_add(report, FINDING_NOTE, "socket",
			"the kernel cannot look up sockets in rules (`modprobe nft_socket`; CONFIG_NFT_SOCKET): after "
			"`conntrack -F` a plaintext connection of the sidecar is reset when its server sends first");
	if (!loopback_addr_has_v6())
		report_add(report, FINDING_NOTE, "ipv6", "IPv6 is off in this namespace: only IPv4 is checked");
	return ERR_NONE;
}

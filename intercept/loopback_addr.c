#include "intercept/loopback_addr.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "intercept/rtnetlink.h"
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

static const uint8_t V4[4] = {169, 254, 15, 6};
static const uint8_t V6[16] = {[0] = 0x01, [15] = 6}; /* 100::6 */
enum { SPARE_FIRST = 8, SPARE_LAST = 15 };            /* the last byte of the spare addresses: 100::8/125 */
static const uint8_t V6_OF_0_1_0[16] = {[15] = 6};    /* ::6, IPv4-compatible: many programs show it as 0.0.0.6 */

struct request {
	struct nlmsghdr header;
	struct ifaddrmsg address;
	uint8_t attributes[64];
};

/* The kernel must not select these addresses as a source: scope host in IPv4, preferred lifetime 0 in IPv6. Explicit
 * binding works at once: NODAD avoids the tentative state. */
static void request_init(
	struct request *request, unsigned short type, unsigned short flags, int family, const uint8_t *address)
{
	bool is_v4 = family == AF_INET;
	*request = (struct request){
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			.nlmsg_type = type,
			.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)},
		.address = {.ifa_family = (uint8_t)family,
			.ifa_prefixlen = is_v4 ? 32 : 128,
			.ifa_flags = is_v4 ? 0 : IFA_F_NODAD,
			.ifa_scope = is_v4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
			.ifa_index = if_nametoindex("lo")},
	};
	rtnetlink_add(&request->header, sizeof(*request), IFA_LOCAL, address, is_v4 ? sizeof(V4) : sizeof(V6));
	struct ifa_cacheinfo lifetime = {.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
	if (!is_v4 && type == RTM_NEWADDR)
		rtnetlink_add(&request->header, sizeof(*request), IFA_CACHEINFO, &lifetime, sizeof(lifetime));
}

static enum err refused(int errnum, struct why *why)
{
	return why_set(why, errnum == EPERM ? ERR_DENIED : ERR_SYSTEM, "rtnetlink to change the addresses of lo",
		"run with CAP_NET_ADMIN in the network namespace of the workload",
		"cannot change the addresses of lo: %s", strerror(errnum));
}

static enum err add_one(int family, const uint8_t *address, struct why *why)
{
	struct request request;
	request_init(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, family, address);
	int errnum = rtnetlink_send(&request.header);
	return errnum == 0 || errnum == EEXIST ? ERR_NONE : refused(errnum, why);
}

static enum err remove_one(int family, const uint8_t *address, struct why *why)
{
	struct request request;
	request_init(&request, RTM_DELADDR, 0, family, address);
	int errnum = rtnetlink_send(&request.header);
	return errnum == 0 || errnum == EADDRNOTAVAIL ? ERR_NONE : refused(errnum, why);
}

typedef enum err change_fn(int family, const uint8_t *address, struct why *why);

static enum err change_v6(change_fn *change, struct why *why)
{
	RETURN_IF_ERR(change(AF_INET6, V6, why));
	uint8_t spare[16];
	memcpy(spare, V6, sizeof(spare));
	for (spare[15] = SPARE_FIRST; spare[15] <= SPARE_LAST; spare[15]++)
		RETURN_IF_ERR(change(AF_INET6, spare, why));
	return ERR_NONE;
}

enum err loopback_addr_add(int family, struct why *why)
{
	CHECK(family == AF_INET || family == AF_INET6);
	return family == AF_INET ? add_one(family, V4, why) : change_v6(add_one, why);
}

enum err loopback_addr_remove(int family, struct why *why)
{
	CHECK(family == AF_INET || family == AF_INET6);
	if (family == AF_INET)
		return remove_one(family, V4, why);
	RETURN_IF_ERR(remove_one(family, V6_OF_0_1_0, why));
	return change_v6(remove_one, why);
}

bool loopback_addr_has_v6(void)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(16);
	return fd_read_file("/proc/sys/net/ipv6/conf/lo/disable_ipv6", 16, &content, NULL) == ERR_NONE &&
	       buf_len(&content) > 0 && buf_span(&content).ptr[0] == '0';
}

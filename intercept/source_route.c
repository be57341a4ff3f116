#include "intercept/source_route.h"
#include "base/core/check.h"
#include "intercept/rtnetlink.h"
#include "intercept/rules.h"
#include <errno.h>
#include <linux/fib_rules.h>
#include <net/if.h>
#include <string.h>

enum {
	TABLE = 1337, /* of routes: beyond the numbers of the kernel and of most programs */
	PRIORITY = 1, /* behind the local table; where the kernel chooses one, the same rule a second time is another
			 one */
};

struct rule_request {
	struct nlmsghdr header;
	struct fib_rule_hdr rule;
	uint8_t attributes[64];
};

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

static struct nlmsghdr header_of(size_t len, unsigned short type, unsigned short flags)
{
	return (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
		.nlmsg_type = type,
		.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)};
}

static int change_rule(int family, unsigned short type, unsigned short flags)
{
	const uint32_t mark = RULES_SOURCE_MARK, table = TABLE, priority = PRIORITY;
	struct rule_request request = {.header = header_of(sizeof(request.rule), type, flags),
		.rule = {.family = (uint8_t)family, .action = FR_ACT_TO_TBL}};
	rtnetlink_add(&request.header, sizeof(request), FRA_FWMARK, &mark, sizeof(mark));
	rtnetlink_add(&request.header, sizeof(request), FRA_TABLE, &table, sizeof(table));
	rtnetlink_add(&request.header, sizeof(request), FRA_PRIORITY, &priority, sizeof(priority));
	return rtnetlink_send(&request.header);
}

static int change_route(int family, unsigned short type, unsigned short flags)
{
	const uint32_t lo = if_nametoindex("lo"), table = TABLE;
	struct route_request request = {.header = header_of(sizeof(request.route), type, flags),
		.route = {.rtm_family = (uint8_t)family,
			.rtm_protocol = RTPROT_STATIC,
			.rtm_scope = RT_SCOPE_HOST,
			.rtm_type = RTN_LOCAL}};
	rtnetlink_add(&request.header, sizeof(request), RTA_OIF, &lo, sizeof(lo));
	rtnetlink_add(&request.header, sizeof(request), RTA_TABLE, &table, sizeof(table));
	return rtnetlink_send(&request.header);
}

static enum err refused(int errnum, struct why *why)
{
	return why_set(why, errnum == EPERM ? ERR_DENIED : ERR_SYSTEM, "rtnetlink to change routing rules",
		"run with CAP_NET_ADMIN in the network namespace of the workload; the kernel needs "
		"CONFIG_IP_MULTIPLE_TABLES",
		"cannot route the workload's answers to lo: %s", strerror(errnum));
}

enum err source_route_add(int family, struct why *why)
{
	CHECK(family == AF_INET || family == AF_INET6);
	int errnum = change_route(family, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	if (errnum == 0)
		errnum = change_rule(family, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
	return errnum == 0 || errnum == EEXIST ? ERR_NONE : refused(errnum, why);
}

enum err source_route_remove(int family, struct why *why)
{
	CHECK(family == AF_INET || family == AF_INET6);
	int errnum = change_rule(family, RTM_DELRULE, 0);
	if (errnum == 0 || errnum == ENOENT || errnum == EAFNOSUPPORT)
		errnum = change_route(family, RTM_DELROUTE, 0);
	bool is_absent = errnum == ESRCH || errnum == ENOENT || errnum == EAFNOSUPPORT;
	return errnum == 0 || is_absent ? ERR_NONE : refused(errnum, why);
}

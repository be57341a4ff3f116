#include "intercept/check.h"
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/net/own_address.h"
#include "intercept/apply.h"
#include "intercept/kernel_tcp.h"
#include "intercept/loopback_addr.h"
#include "intercept/preflight.h"
#include "intercept/probe.h"
#include <stdlib.h>
#include <unistd.h>

#define UNPRIVILEGED_ID  65534
#define ANSWER_MS        1000 /* this kernel answers a redirected connection */
#define EXEMPT_ANSWER_MS 50   /* short: meanwhile the probe may occupy the port of a starting sidecar */
#define FIRST_PORT       9    /* discard */
#define CONTROL_PORT     15012

static bool is_excluded(const struct rules *rules, const struct ip_addr *ip)
{
	for (unsigned i = 0; i < rules->num_exclude_networks; i++) {
		if (network_contains(&rules->exclude_networks[i], ip))
			return true;
	}
	return false;
}

/* The first port that the settings do not exclude; the list is sorted. */
static uint16_t dialled_port(const struct rules *rules)
{
	uint16_t port = FIRST_PORT;
	for (unsigned i = 0; i < rules->exclude_outbound.num; i++) {
		if (rules->exclude_outbound.ports[i] == port)
			port++;
	}
	return rules->exempt_ssh && port == RULES_SSH_PORT ? port + 1 : port;
}

/* False: the settings exclude all documentation addresses. */
static bool choose_dialled(const struct rules *rules, int family, struct addr *out)
{
	static const char *const V4[] = {"203.0.113.254", "198.51.100.254", "192.0.2.254", NULL};
	static const char *const V6[] = {"2001:db8:ffff::fe", NULL};
	CHECK(family == AF_INET || family == AF_INET6);
	struct addr dialed = {.port = dialled_port(rules)};
	for (const char *const *text = family == AF_INET ? V4 : V6; *text != NULL; text++) {
		CHECK(ip_addr_parse(span_of_str(*text), &dialed.ip) == ERR_NONE);
		if (is_excluded(rules, &dialed.ip))
			continue;
		*out = dialed;
		return true;
	}
	return false;
}

/* Checks one family as a user that must be intercepted. Returns false where no route exists. */
static bool check_redirected(const struct probe *probe, const char *point, struct report *report)
{
	char dialed[ADDR_TEXT_MAX];
	struct why why = {0};
	addr_format(&probe->dialed, dialed);
	switch (probe_run(probe, &why)) {
	case PROBE_REDIRECTED:
		report_add(report, FINDING_OK, point, "a connection from uid %u to %s arrived at %u", probe->uid,
			dialed, probe->port);
		return true;
	case PROBE_MISDIRECTED:
		report_add(report, FINDING_FAILED, point,
			"a connection to %s arrived at %u with another original destination: %s", dialed, probe->port,
			why.got);
		return true;
	case PROBE_ELSEWHERE:
		report_add(report, FINDING_FAILED, point,
			"a connection from uid %u to %s did not arrive at %u: run `handfast-init up`", probe->uid,
			dialed, probe->port);
		return true;
	case PROBE_UNANSWERED:
		report_add(report, FINDING_FAILED, point,
			"a connection from uid %u to %s left the namespace: run `handfast-init up`", probe->uid,
			dialed);
		return true;
	case PROBE_NO_ROUTE:
		report_add(report, FINDING_NOTE, point,
			"there is no route out of the namespace, so nothing can be redirected");
		return false;
	case PROBE_CANNOT_BE_USER:
		report_add(report, FINDING_UNPROVEN, point,
			"this process is exempt and may not dial as another user: run check as another user");
		return true;
	}
	CHECK_UNREACHABLE();
}

static void check_exempt(const struct probe *probe, const char *point, struct report *report)
{
	struct why why = {0};
	switch (probe_run(probe, &why)) {
	case PROBE_REDIRECTED:
	case PROBE_MISDIRECTED:
		report_add(report, FINDING_FAILED, point,
			"a connection from uid and gid " RULES_EXEMPT_ID_TEXT
			" was redirected, so the sidecar would connect to itself: run `handfast-init up`");
		return;
	case PROBE_ELSEWHERE:
	case PROBE_UNANSWERED:
	case PROBE_NO_ROUTE:
		report_add(report, FINDING_OK, point,
			"a connection from uid and gid " RULES_EXEMPT_ID_TEXT " was not redirected");
		return;
	case PROBE_CANNOT_BE_USER:
		report_add(report, FINDING_NOTE, point,
			"not checked: dialing as uid and gid " RULES_EXEMPT_ID_TEXT " needs root");
		return;
	}
	CHECK_UNREACHABLE();
}

/* A user in the sidecar's group has that gid in a program whose file has the setgid bit: it is not exempt. */
static void check_gid_alone(const struct probe *probe, const char *point, struct report *report)
{
	struct why why = {0};
	switch (probe_run(probe, &why)) {
	case PROBE_REDIRECTED:
	case PROBE_MISDIRECTED:
		report_add(report, FINDING_OK, point,
			"a connection from gid " RULES_EXEMPT_ID_TEXT " of another user was redirected");
		return;
	case PROBE_ELSEWHERE:
	case PROBE_UNANSWERED:
		report_add(report, FINDING_FAILED, point,
			"a connection from gid " RULES_EXEMPT_ID_TEXT
			" of another user left, as with rules of an older release: run `handfast-init up`");
		return;
	case PROBE_NO_ROUTE:
	case PROBE_CANNOT_BE_USER:
		report_add(report, FINDING_NOTE, point,
			"not checked: dialing as gid " RULES_EXEMPT_ID_TEXT " needs root and a route");
		return;
	}
	CHECK_UNREACHABLE();
}

/* Root dials with the uid 65534, so that the result does not depend on root. Without CAP_SETUID the probe keeps its
 * uid, unless that is exempt. */
static struct probe probe_of(const struct addr *dialed)
{
	struct probe probe = {.dialed = *dialed,
		.port = RULES_OUTBOUND_PORT,
		.uid = geteuid(),
		.gid = getegid(),
		.timeout_ms = ANSWER_MS};
	if ((probe.uid == RULES_EXEMPT_ID && probe.gid == RULES_EXEMPT_ID) ||
		probe_can_be(UNPRIVILEGED_ID, UNPRIVILEGED_ID))
		probe.uid = probe.gid = UNPRIVILEGED_ID;
	return probe;
}

/* Returns whether the family could be checked. */
static bool check_family(const struct rules *rules, int family, struct report *report)
{
	bool is_v4 = family == AF_INET;
	struct addr dialed;
	if (!choose_dialled(rules, family, &dialed)) {
		report_add(report, FINDING_NOTE, is_v4 ? "outbound_ipv4" : "outbound_ipv6",
			"the settings exclude every documentation address, so no address is left to dial");
		return false;
	}
	struct probe probe = probe_of(&dialed);
	if (!check_redirected(&probe, is_v4 ? "outbound_ipv4" : "outbound_ipv6", report))
		return false;
	struct probe sidecar = probe, group = probe;
	sidecar.uid = sidecar.gid = group.gid = RULES_EXEMPT_ID;
	sidecar.timeout_ms = EXEMPT_ANSWER_MS;
	check_exempt(&sidecar, is_v4 ? "exempt_ipv4" : "exempt_ipv6", report);
	check_gid_alone(&group, is_v4 ? "gid_alone_ipv4" : "gid_alone_ipv6", report);
	return true;
}

static bool holds(struct span whole, const char *part)
{
	return memmem(whole.ptr, whole.len, part, strlen(part)) != NULL;
}

static uint64_t num_stopped(void)
{
	_cleanup_(buf_done) struct buf table = BUF_INIT(2 * RULES_TEXT_MAX);
	return apply_list_table_counted(RULES_TABLE, &table, NULL) == ERR_NONE
		       ? rules_guard_packets(buf_span(&table), RULES_OUTBOUND_GUARD)
		       : 0;
}

/* Sends a segment that nat cannot translate and checks that the guard counted it. Other traffic can increase the count
 * too, so the rules are read as well. */
static void check_guard_stops(const struct rules *rules, int family, struct report *report)
{
	const char *point = family == AF_INET ? "guard_ipv4" : "guard_ipv6";
	struct addr dialed;
	if (!choose_dialled(rules, family, &dialed))
		return;
	struct probe probe = probe_of(&dialed);
	uint64_t before = num_stopped();
	enum err err = probe_send_untranslatable(&probe);
	if (err == ERR_UNREACHABLE)
		return;
	if (err != ERR_NONE) {
		report_add(report, FINDING_NOTE, point, "not checked: this process may not send such a segment");
		return;
	}
	if (num_stopped() > before)
		report_add(report, FINDING_OK, point, "a segment that nat cannot translate was stopped");
	else
		report_add(report, FINDING_FAILED, point,
			"a segment that nat cannot translate left in plaintext: run `handfast-init up`");
}

static void check_guards(const struct rules *rules, struct span present, struct report *report)
{
	for (size_t i = 0; i < RULES_NUM_GUARDS; i++) {
		if (rules_guard_is_present(present, &RULES_GUARDS[i]))
			continue;
		report_add(report, FINDING_FAILED, "guards",
			"the chain %s, which stops traffic that nat does not translate, is missing or incomplete: run "
			"`handfast-init up`",
			RULES_GUARDS[i].chain);
		return;
	}
	report_add(
		report, FINDING_OK, "guards", "the chains that stop traffic that nat does not translate are present");
	check_guard_stops(rules, AF_INET, report);
	if (loopback_addr_has_v6())
		check_guard_stops(rules, AF_INET6, report);
}

/* Proves both ways of a connection that the sidecar makes in a caller's name. */
static void check_source(const struct rules *rules, int family, struct report *report)
{
	const char *point = family == AF_INET ? "source_ipv4" : "source_ipv6";
	struct addr caller;
	struct ip_addr own;
	if (!choose_dialled(rules, family, &caller) || !own_address_find(family, &own)) {
		report_add(report, FINDING_NOTE, point, "no address of the network namespace, or of a caller, to try");
		return;
	}
	struct probe probe = probe_of(&caller);
	enum err err = probe_in_a_callers_name(&probe, &own);
	if (err == ERR_NONE)
		report_add(
			report, FINDING_OK, point, "a connection in a caller's name arrived, and was answered over lo");
	else if (err == ERR_DENIED)
		report_add(report, FINDING_UNPROVEN, point,
			"this process may not connect in another's name: run check as root");
	else
		report_add(report, FINDING_FAILED, point,
			"the answer to a connection in a caller's name did not come back over lo: run `handfast-init "
			"up --mode tproxy`");
}

static void check_sources(const struct rules *rules, struct span present, struct report *report)
{
	if (rules->keeps_source && !holds(present, "chain " RULES_REROUTE " {")) {
		report_add(report, FINDING_FAILED, "mode",
			"the rules are not those of the mode tproxy: run `handfast-init up --mode tproxy`");
		return;
	}
	if (!holds(present, "chain " RULES_REROUTE " {"))
		return;
	check_source(rules, AF_INET, report);
	if (loopback_addr_has_v6())
		check_source(rules, AF_INET6, report);
}

/* Flags of `up` that the rules show; without them they would count as different. */
static struct rules as_present(const struct rules *rules, struct span present)
{
	struct rules those = *rules;
	those.keeps_source = those.keeps_source || holds(present, "chain " RULES_REROUTE " {");
	return those;
}

/* In a pod the rules come before the sidecar, and are checked then, too. */
static void check_listeners(const struct rules *rules, struct report *report)
{
	bool is_host = rules->exempt_ssh;
	if (kernel_tcp_listens(RULES_OUTBOUND_PORT) && kernel_tcp_listens(RULES_INBOUND_PORT))
		report_add(report, FINDING_OK, "sidecar", "a sidecar listens at %d and %d", RULES_OUTBOUND_PORT,
			RULES_INBOUND_PORT);
	else
		report_add(report, is_host ? FINDING_FAILED : FINDING_NOTE, "sidecar",
			"no sidecar listens at %d and %d, where the rules lead: connections are refused until one runs "
			"(`systemctl start handfast-sidecar`); where it is gone for good, remove the rules: "
			"`handfast-init down`",
			RULES_OUTBOUND_PORT, RULES_INBOUND_PORT);
}

static void check_rules(const struct rules *rules, struct report *report)
{
	_cleanup_(buf_done) struct buf present = BUF_INIT(RULES_TEXT_MAX), wanted = BUF_INIT(RULES_TEXT_MAX);
	if (!preflight_has_net_admin()) {
		report_add(report, FINDING_NOTE, "rules", "not checked: reading the rules needs CAP_NET_ADMIN");
		return;
	}
	if (apply_list_table(RULES_TABLE, &present, NULL) != ERR_NONE ||
		!holds(buf_span(&present), "hook prerouting") ||
		!holds(buf_span(&present), "meta l4proto 6 redirect to :" FIXED_TEXT(RULES_INBOUND_PORT) "\n")) {
		report_add(report, FINDING_FAILED, "inbound",
			"no rule redirects to " FIXED_TEXT(RULES_INBOUND_PORT) ": run `handfast-init up`");
		return;
	}
	report_add(report, FINDING_OK, "inbound",
		"the rule that redirects to " FIXED_TEXT(RULES_INBOUND_PORT) " is present");
	check_listeners(rules, report);
	check_guards(rules, buf_span(&present), report);
	check_sources(rules, buf_span(&present), report);
	const struct rules those = as_present(rules, buf_span(&present));
	CHECK(rules_render_table(&those, &wanted) == ERR_NONE);
	if (!span_eq(buf_span(&present), buf_span(&wanted)))
		report_add(report, FINDING_NOTE, "rules",
			"the rules differ from those of these settings: `up` had other flags, or they were changed by "
			"hand");
}

static bool is_direct(const struct rules *rules, uint16_t port)
{
	for (unsigned i = 0; i < rules->exclude_inbound.num; i++)
		if (rules->exclude_inbound.ports[i] == port)
			return true;
	return false;
}

void check_control_plane(const struct rules *rules, struct report *report)
{
	if (!is_direct(rules, CONTROL_PORT) && kernel_tcp_listens(CONTROL_PORT))
		report_add(report, FINDING_NOTE, "control_plane",
			"a control plane listens at %d here, and the rules redirect that port: sidecars of other hosts "
			"do not reach it; exclude it: --exclude-inbound-ports 15012,15014 (or "
			"HANDFAST_INIT_EXCLUDE_INBOUND_PORTS)",
			CONTROL_PORT);
}

void check_run(const struct rules *rules, struct report *report)
{
	check_control_plane(rules, report);
	bool any = check_family(rules, AF_INET, report);
	if (loopback_addr_has_v6())
		any = check_family(rules, AF_INET6, report) || any;
	else
		report_add(report, FINDING_NOTE, "outbound_ipv6", "IPv6 is off in this namespace");
	if (!any)
		report_add(report, FINDING_UNPROVEN, "outbound", "no connection could be tried");
	check_rules(rules, report);
}

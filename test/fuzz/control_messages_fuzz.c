#include "base/core/check.h"
#include "control/distribute/encode.h"
#include "control/serve/messages.h"
#include "control/serve/operator_messages.h"
#include "test/fuzz/fuzz.h"

/* Messages of sidecars and operators to the control plane. The first byte chooses the message. */

static void attest(struct span bytes, struct why *why)
{
	_cleanup_(attest_up_done) struct attest_up up = {0};
	CHECK(attest_up_parse(bytes, &up, why) == why->err);
}

static void check_seen(void *arg, const struct seen_peer *seen)
{
	unsigned *num = arg;
	CHECK(seen->address.ip.family == AF_INET || seen->address.ip.family == AF_INET6);
	CHECK(++*num <= 64);
}

static void check_port(void *arg, uint16_t port, bool plaintext)
{
	(void)arg;
	(void)plaintext;
	CHECK(port > 0);
}

static void identity(struct span bytes, struct why *why)
{
	unsigned num = 0;
	_cleanup_(identity_up_done) struct identity_up up = {0};
	CHECK(identity_up_parse(bytes, &up, why) == why->err);
	CHECK(why->err != ERR_NONE || up.kind <= IDENTITY_REPORT);
	CHECK(identity_report_each(bytes, check_seen, check_port, &num) ==
		(why->err == ERR_NONE && up.kind == IDENTITY_REPORT));
}

static void discovery(struct span bytes, struct why *why)
{
	_cleanup_(discovery_up_done) struct discovery_up up = {0};
	CHECK(discovery_up_parse(bytes, &up, why) == why->err);
	if (why->err != ERR_NONE)
		return;
	CHECK(up.num_destinations <= SUBSCRIBE_MAX);
	for (size_t i = 0; i < up.num_destinations; i++)
		CHECK(up.destinations[i].ip.family == AF_INET || up.destinations[i].ip.family == AF_INET6);
}

static void token_request(struct span bytes, struct why *why)
{
	struct token_request order = {0};
	CHECK(token_request_parse(bytes, &order, why) == why->err);
	CHECK(order.num_networks <= OPERATOR_NETWORKS_MAX && order.id_len <= SPIFFE_ID_MAX);
	CHECK(order.ttl_s >= 0);
}

static void ban_request(struct span bytes, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	CHECK(ban_request_parse(bytes, &id, why) == why->err);
	CHECK((why->err == ERR_NONE) == (id.text != NULL));
}

static void policy_show(struct span bytes, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	CHECK(policy_show_request_parse(bytes, &id, why) == why->err);
	CHECK((why->err == ERR_NONE) == (id.text != NULL));
}

static void release_request(struct span bytes, struct why *why)
{
	struct ip_addr ip = {0};
	CHECK(release_request_parse(bytes, &ip, why) == why->err);
	CHECK(why->err != ERR_NONE || ip.family == AF_INET || ip.family == AF_INET6);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const parsers[])(struct span, struct why *) = {
		attest, identity, discovery, token_request, ban_request, release_request, policy_show};
	struct why why = {0};
	if (len > 0)
		parsers[bytes[0] % (sizeof(parsers) / sizeof(parsers[0]))](span_of(bytes + 1, len - 1), &why);
	return 0;
}

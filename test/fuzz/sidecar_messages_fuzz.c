#include "base/core/check.h"
#include "sidecar/discovery/messages.h"
#include "sidecar/identity/messages.h"
#include "test/fuzz/fuzz.h"

/* Messages of the control plane to a sidecar. The first byte chooses the message. */

static const struct trust_domain own = {"td.test"};

static void check_trust(const struct trust *trust)
{
	CHECK((trust->bundles != NULL) == (trust->detail.err == ERR_NONE));
	CHECK(trust->num_pins <= STATE_PINS_MAX);
}

static void attest(struct span bytes)
{
	_cleanup_(attest_answer_done) struct attest_answer answer = {0};
	struct why why = {0};
	CHECK(message_attest_answer_parse(bytes, &own, &answer, &why) == why.err);
	if (why.err == ERR_NONE) {
		CHECK(answer.svid != NULL);
		check_trust(&answer.trust);
	}
}

static void identity(struct span bytes)
{
	_cleanup_(identity_down_done) struct identity_down down = {0};
	struct why why = {0};
	CHECK(message_identity_down_parse(bytes, &own, &down, &why) == why.err);
	if (why.err == ERR_NONE && down.kind == DOWN_TRUST)
		check_trust(&down.trust);
}

static void discovery(struct span bytes)
{
	static struct discovery_down down;
	struct why why = {0};
	down = (struct discovery_down){0};
	CHECK(discovery_down_parse(bytes, &own, &down, &why) == why.err);
	CHECK(down.num_answers <= ANSWERS_MAX);
	if (why.err == ERR_NONE && down.kind == DISCOVERY_DOWN_MESH)
		CHECK(down.networks != NULL && down.policy != NULL);
	if (why.err == ERR_NONE)
		discovery_down_done(&down);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const parsers[])(struct span) = {attest, identity, discovery};
	if (len > 0)
		parsers[bytes[0] % 3](span_of(bytes + 1, len - 1));
	return 0;
}

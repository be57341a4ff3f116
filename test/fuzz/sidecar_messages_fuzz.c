#include "base/core/check.h"
#include "sidecar/discovery/messages.h"
#include "sidecar/identity/kept_identity.h"
#include "sidecar/identity/messages.h"
#include "test/fuzz/fuzz.h"

/* Messages of the control plane to a sidecar, and what it keeps of them. The first byte chooses the message. */

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

/* An answer that was received can be kept, and what was kept is accepted again. */
static void keep(const struct answer *answer)
{
	static struct discovery_down again;
	_cleanup_(buf_done) struct buf message = BUF_INIT(1u << 20);
	again = (struct discovery_down){0};
	if (discovery_answer_encode(answer, &message) != ERR_NONE)
		return; /* too large: it is left out */
	CHECK(discovery_down_parse(buf_span(&message), &own, &again, NULL) == ERR_NONE && again.num_answers == 1);
	discovery_down_done(&again);
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
	for (size_t i = 0; why.err == ERR_NONE && i < down.num_answers; i++)
		keep(down.answers[i]);
	if (why.err == ERR_NONE)
		discovery_down_done(&down);
}

static void kept(struct span bytes)
{
	struct kept_identity earlier = {0};
	struct why why = {0};
	if (kept_identity_parse(bytes, &own, &earlier, &why) == ERR_NONE)
		CHECK(earlier.trust.bundles != NULL && (earlier.svid == NULL) == (earlier.key == NULL));
	kept_identity_done(&earlier);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const parsers[])(struct span) = {attest, identity, discovery};
	if (len > 0 && bytes[0] == 'k')
		kept(span_of(bytes + 1, len - 1));
	else if (len > 0)
		parsers[bytes[0] % 3](span_of(bytes + 1, len - 1));
	return 0;
}

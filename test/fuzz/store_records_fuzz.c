#include "base/core/check.h"
#include "control/attest/join_token.h"
#include "control/registry/claim.h"
#include "test/fuzz/fuzz.h"

static void read_token(struct span record)
{
	_cleanup_(join_token_done) struct join_token token = {0}, again = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	enum err err = join_token_parse(record, &token);
	CHECK(err == ERR_NONE || err == ERR_STATE_DAMAGED);
	if (err != ERR_NONE)
		return;
	CHECK(token.num_networks <= JOIN_TOKEN_NETWORKS_MAX);
	CHECK(join_token_encode(&token, &text) == ERR_NONE && join_token_parse(buf_span(&text), &again) == ERR_NONE);
	CHECK(spiffe_id_eq(&token.id, &again.id) && token.not_after_s == again.not_after_s &&
		token.num_networks == again.num_networks && token.is_bound == again.is_bound);
}

static void read_claim(struct span record)
{
	struct claim *claim = NULL;
	struct why why = {0};
	enum err err = claim_parse(CLAIM_KEY_PREFIX "192.0.2.1", record, &claim, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (claim != NULL));
	if (claim != NULL)
		claim_free(claim);
}

/* Records of the store: an accepted value can be encoded again. The first byte selects the kind. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len > 0 && bytes[0] % 2 == 0)
		read_token(span_of(bytes + 1, len - 1));
	else if (len > 0)
		read_claim(span_of(bytes + 1, len - 1));
	return 0;
}

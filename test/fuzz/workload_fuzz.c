#include "base/core/check.h"
#include "sidecar/identity/istio_answer.h"
#include "sidecar/identity/workload_answer.h"
#include "sidecar/workload_api/jwt_svid.h"
#include "sidecar/workload_api/sds_messages.h"
#include "test/fuzz/fuzz.h"

static void token(struct span bytes)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(jwt_svid_done) struct jwt_svid svid = {0};
	struct why why = {0};
	/* Without a bundle no token is valid. */
	CHECK(jwt_svid_validate(bytes, SPAN_LITERAL("a"), bundles, 1800000000, &svid, &why) == why.err);
	CHECK(why.err != ERR_NONE && svid.claims == NULL);
}

static void answer(struct span bytes)
{
	_cleanup_(workload_answer_done) struct workload_answer answer = {0};
	struct trust_domain own;
	struct why why = {0};
	CHECK(trust_domain_parse(SPAN_LITERAL("example.org"), &own, NULL) == ERR_NONE);
	const struct workload_choice choice = {.own = &own};
	enum err err = workload_answer_parse(bytes, &choice, &answer, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (answer.svid != NULL));
}

static void istio(struct span bytes)
{
	_cleanup_(workload_answer_done) struct workload_answer answer = {0};
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct trust_domain own;
	struct why why = {0};
	CHECK(trust_domain_parse(SPAN_LITERAL("example.org"), &own, NULL) == ERR_NONE);
	const struct workload_choice choice = {.own = &own, .wanted = "spiffe://example.org/ns/shop/sa/cart"};
	enum err err = istio_answer_parse(bytes, key, &choice, &answer, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (answer.svid != NULL));
	why = (struct why){0};
	CHECK(istio_token_identity(bytes, &own, &id, &why) == why.err);
}

/* What a local process sends: a request to the secret discovery service, a token to validate; and what a Workload API
 * or an Istio CA answers. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(sds_request_done) struct sds_request request = {0};
	struct why why = {0};
	CHECK(sds_request_parse(span_of(bytes, len), &request, &why) == why.err);
	CHECK(request.names.num <= SDS_NAMES_MAX);
	CHECK(strlen(request.nonce) < sizeof(request.nonce) && strlen(request.refusal) < sizeof(request.refusal));
	for (size_t i = 0; i < request.names.num; i++) {
		size_t name_len = strlen(request.names.texts[i]);
		CHECK(name_len > 0 && name_len <= SDS_NAME_MAX);
	}
	CHECK(sds_names_eq(&request.names, &request.names));
	token(span_of(bytes, len));
	answer(span_of(bytes, len));
	istio(span_of(bytes, len));
	return 0;
}

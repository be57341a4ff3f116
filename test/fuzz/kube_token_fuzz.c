#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/spiffe_id.h"
#include "control/kube/jwks.h"
#include "control/kube/jwt.h"
#include "control/kube/token_review.h"
#include "test/fuzz/fuzz.h"

/* Names that are accepted make a valid SPIFFE ID of exactly these segments. */
static void check_subject(const struct kube_subject *subject)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(mem_freep) char *text = mem_printf("spiffe://td/ns/%s/sa/%s", subject->namespace_, subject->account);
	CHECK(spiffe_id_parse(span_of_str(text), &id, NULL) == ERR_NONE);
	unsigned num_slashes = 0;
	for (const char *c = text; *c != 0; c++)
		num_slashes += *c == '/';
	CHECK(num_slashes == 6 && subject->pod[0] != 0 && subject->pod_uid[0] != 0);
}

static void check_token(struct span input)
{
	_cleanup_(jwt_done) struct jwt jwt = {0};
	_cleanup_(buf_done) struct buf question = BUF_INIT(2 * JWT_MAX);
	struct why why = {0};
	enum err err = jwt_parse(input, &jwt, &why);
	CHECK(err == why.err);
	if (err != ERR_NONE)
		return;
	CHECK(jwt.signed_part.ptr == input.ptr && jwt.signed_part.len < input.len && buf_len(&jwt.signature) > 0);
	check_subject(&jwt.subject);
	err = jwt_check_audience(&jwt, "handfast", &why);
	CHECK(err == ERR_NONE || err == ERR_DENIED);
	err = jwt_check_times(&jwt, 1800000000, &why);
	CHECK(err == ERR_NONE || err == ERR_EXPIRED || err == ERR_NOT_YET_VALID);
	err = jwt_check_issuer(&jwt, "x", &why);
	CHECK(err == ERR_NONE || err == ERR_DENIED);
	const struct jwks none = {0};
	CHECK(jwks_verify(&none, &jwt, &why) == ERR_NOT_FOUND);
	CHECK(token_review_encode(input, "handfast", &question) == ERR_NONE);
}

/* One input is tried as a token, as a key set and as an answer of the API server. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(jwks_done) struct jwks jwks = {0};
	struct span input = span_of(bytes, len);
	struct kube_subject subject;
	struct why why = {0};
	check_token(input);
	enum err err = jwks_parse(input, &jwks, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (jwks.num > 0) && jwks.num <= JWKS_KEYS_MAX);
	_cleanup_(mem_freep) char *issuer = NULL;
	err = jwks_issuer_parse(input, &issuer, &why);
	CHECK((err == ERR_NONE) == (issuer != NULL));
	why = (struct why){0};
	err = token_review_parse(input, "handfast", &subject, &why);
	CHECK(err == why.err);
	if (err == ERR_NONE)
		check_subject(&subject);
	return 0;
}

/* A partner's bundle in the trust state. */
#include "control/serve/trust.h"

#include "certs/test_ca.h"
#include "control/federate/partner_record.h"
#include "control/issue/signer.h"
#include "control/registry/svid_holders.h"
#include "control/serve/test_serve.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define PARTNER "p.test"

static void store_partner(struct world *world, struct partner_record *record)
{
	struct store_value value = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(STORE_VALUE_MAX);
	char key[STORE_KEY_MAX];
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(PARTNER), &record->domain, NULL), ERR_NONE);
	partner_record_key(&record->domain, key);
	assert_int_equal(partner_record_encode(record, &text), ERR_NONE);
	bool is_there = store_get(world->store, key, &value);
	store_swap(world->store, key, is_there ? value.version : 0, buf_span(&text), NULL, NULL);
}

static bool is_trusted(const struct world *world)
{
	return bundle_set_find(trust_bundles(world->trust), SPAN_LITERAL(PARTNER)) != NULL;
}

/* Decision 073. */
static void the_bundle_of_a_partner_is_used_as_a_whole_or_not_at_all(void **state)
{
	struct world *world = *state;
	static const uint8_t no_key[WEB_KEY_P256_SPKI_LEN];
	struct test_cert_spec spec = test_ca_spec("a root");
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&spec, NULL);
	_cleanup_(partner_record_done) struct partner_record record = {0};
	assert_int_equal(jwks_bundle_add_root(&record.live, test_cert_der(root)), ERR_NONE);
	store_partner(world, &record);
	while (!is_trusted(world))
		loop_run_once(world->loop, false);
	assert_int_equal(jwks_bundle_add_jwt_key(&record.live, "a", span_of(no_key, sizeof(no_key))), ERR_NONE);
	store_partner(world, &record);
	while (is_trusted(world))
		loop_run_once(world->loop, false);
	assert_int_equal(bundle_set_num(trust_bundles(world->trust)), 1); /* the own one */
}

/* Sidecars take 4 MiB: with more bans they would refuse the trust state, and so each later change of trust. */
static void C14_no_more_is_withdrawn_than_sidecars_take(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct why why = {0};
	assert_int_equal(trust_may_withdraw(world->trust, TRUST_WITHDRAWN_BYTES_MAX - 4, &why), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/banned"), &id, &why), ERR_NONE);
	svid_holders_ban(world->store, &id, 1, NULL, NULL);
	while (!svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, true);
	size_t left = TRUST_WITHDRAWN_BYTES_MAX - (spiffe_id_text(&id).len + 4) - 4;
	assert_int_equal(trust_may_withdraw(world->trust, left, &why), ERR_NONE);
	assert_int_equal(trust_may_withdraw(world->trust, left + 1, &why), ERR_LIMIT);
	assert_non_null(strstr(why.fix, "handfast unban"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(C14_no_more_is_withdrawn_than_sidecars_take),
		WORLD_TEST(the_bundle_of_a_partner_is_used_as_a_whole_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

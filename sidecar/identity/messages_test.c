/* Messages of the control plane are accepted or refused as a whole (abuse cases C4, C14). */
#include "base/core/cleanup.h"
#include "base/pb/unpack.h"
#include "certs/test_mesh.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"
#include "sidecar/identity/messages.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>

static struct trust_domain own(void)
{
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &domain, NULL), ERR_NONE);
	return domain;
}

/* The parts of a trust state, which a test changes before they are packed. */
struct parts {
	struct test_mesh *mesh;
	ProtobufCBinaryData root, pin, banned;
	Handfast__V1__Bundle bundle, *bundles[1];
	Handfast__V1__Epoch epoch;
	Handfast__V1__TrustState trust;
};

static void parts_make(struct parts *parts)
{
	static uint8_t pin[DIGEST_LEN] = {7};
	*parts = (struct parts){.mesh = test_mesh_new("cluster.local", TEST_NOW_S)};
	parts->root = pb_bytes(test_cert_der(test_mesh_root(parts->mesh)));
	parts->pin = pb_bytes(span_of(pin, sizeof(pin)));
	parts->banned = pb_bytes(SPAN_LITERAL("spiffe://cluster.local/bad"));
	parts->bundle = (Handfast__V1__Bundle)HANDFAST__V1__BUNDLE__INIT;
	parts->bundle.trust_domain = pb_bytes(SPAN_LITERAL("cluster.local"));
	parts->bundle.n_roots = 1;
	parts->bundle.roots = &parts->root;
	parts->bundles[0] = &parts->bundle;
	parts->epoch = (Handfast__V1__Epoch)HANDFAST__V1__EPOCH__INIT;
	parts->epoch.incarnation = 9;
	parts->epoch.counter = 4;
	parts->trust = (Handfast__V1__TrustState)HANDFAST__V1__TRUST_STATE__INIT;
	parts->trust.epoch = &parts->epoch;
	parts->trust.n_bundles = 1;
	parts->trust.bundles = parts->bundles;
	parts->trust.n_banned_ids = 1;
	parts->trust.banned_ids = &parts->banned;
	parts->trust.n_bootstrap_root_sha256 = 1;
	parts->trust.bootstrap_root_sha256 = &parts->pin;
}

static void parse_trust(struct parts *parts, struct identity_down *out)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(65536);
	Handfast__V1__IdentityDown down = HANDFAST__V1__IDENTITY_DOWN__INIT;
	struct trust_domain domain = own();
	down.server_time_ms = 42;
	down.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_TRUST;
	down.trust = &parts->trust;
	assert_int_equal(pb_pack(&down.base, &bytes), ERR_NONE);
	assert_int_equal(message_identity_down_parse(buf_span(&bytes), &domain, out, NULL), ERR_NONE);
	assert_int_equal(out->kind, DOWN_TRUST);
}

static void accepts_a_valid_trust_state(_unused_ void **state)
{
	struct parts parts;
	_cleanup_(identity_down_done) struct identity_down down = {0};
	_cleanup_(spiffe_id_done) struct spiffe_id banned = {0};
	parts_make(&parts);
	parse_trust(&parts, &down);
	assert_non_null(down.trust.bundles);
	assert_int_equal(down.trust.epoch.counter, 4);
	assert_int_equal(down.server_time_ms, 42);
	assert_int_equal(down.trust.num_pins, 1);
	assert_int_equal(down.trust.pins[0][0], 7);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/bad"), &banned, NULL), ERR_NONE);
	assert_true(bundle_set_is_banned(down.trust.bundles, &banned));
	test_mesh_free(parts.mesh);
}

typedef void bend_fn(struct parts *parts);
static void bend_no_epoch(struct parts *parts)
{
	parts->trust.epoch = NULL;
}
static void bend_zero_incarnation(struct parts *parts)
{
	parts->epoch.incarnation = 0;
}
static void bend_no_bundles(struct parts *parts)
{
	parts->trust.n_bundles = 0;
}
static void bend_empty_bundle(struct parts *parts)
{
	parts->bundle.n_roots = 0;
}
static void bend_wrong_domain(struct parts *parts)
{
	parts->bundle.trust_domain = pb_bytes(SPAN_LITERAL("other.test"));
}
static void bend_domain_with_nul(struct parts *parts)
{
	parts->bundle.trust_domain = pb_bytes(SPAN_LITERAL("cluster.local\0"));
}
static void bend_garbage_root(struct parts *parts)
{
	parts->root = pb_bytes(SPAN_LITERAL("not a certificate"));
}
static void bend_garbage_crl(struct parts *parts)
{
	parts->bundle.n_crls = 1;
	parts->bundle.crls = &parts->banned;
}
static void bend_short_pin(struct parts *parts)
{
	parts->pin.len--;
}
static void bend_malformed_ban(struct parts *parts)
{
	parts->banned = pb_bytes(SPAN_LITERAL("spiffe://cluster.local//"));
}

static void c14_refuses_a_trust_state_with_one_wrong_part(_unused_ void **state)
{
	static bend_fn *const bends[] = {bend_no_epoch, bend_zero_incarnation, bend_no_bundles, bend_empty_bundle,
		bend_wrong_domain, bend_domain_with_nul, bend_garbage_root, bend_short_pin, bend_malformed_ban};
	for (size_t i = 0; i < sizeof(bends) / sizeof(*bends); i++) {
		struct parts parts;
		_cleanup_(identity_down_done) struct identity_down down = {0};
		parts_make(&parts);
		bends[i](&parts);
		parse_trust(&parts, &down);
		assert_null(down.trust.bundles);
		assert_int_not_equal(down.trust.detail.err, ERR_NONE);
		test_mesh_free(parts.mesh);
	}
}

static void a_list_that_is_not_usable_is_left_out_alone(_unused_ void **state)
{
	struct parts parts;
	struct revocation_lists lists;
	_cleanup_(identity_down_done) struct identity_down down = {0};
	parts_make(&parts);
	bend_garbage_crl(&parts);
	parse_trust(&parts, &down);
	assert_non_null(down.trust.bundles);
	bundle_set_lists(down.trust.bundles, 0, &lists);
	assert_true(lists.num == 0 && lists.num_skipped == 1);
	test_mesh_free(parts.mesh);
}

static void bend_garbage_jwt_key(Handfast__V1__Bundle *partner, ProtobufCBinaryData *garbage)
{
	partner->jwt_keys = garbage;
	partner->n_jwt_keys = 1;
}
static void bend_too_many_crls(Handfast__V1__Bundle *partner, ProtobufCBinaryData *garbage)
{
	partner->crls = garbage;
	partner->n_crls = BUNDLE_CRLS_MAX + 1;
}
static void bend_second_bundle(Handfast__V1__Bundle *partner, _unused_ ProtobufCBinaryData *garbage)
{
	partner->trust_domain = pb_bytes(SPAN_LITERAL("sound.test"));
}

/* The roots are good, and what comes after them is not. */
static void nothing_of_a_partner_is_trusted_whose_bundle_is_not_in_use(_unused_ void **state)
{
	static void (*const bends[])(Handfast__V1__Bundle *, ProtobufCBinaryData *) = {
		bend_garbage_jwt_key, bend_too_many_crls, bend_second_bundle};
	for (size_t i = 0; i < sizeof(bends) / sizeof(*bends); i++) {
		struct parts parts;
		_cleanup_(identity_down_done) struct identity_down down = {0};
		parts_make(&parts);
		ProtobufCBinaryData garbage[BUNDLE_CRLS_MAX + 1];
		for (size_t at = 0; at < sizeof(garbage) / sizeof(*garbage); at++)
			garbage[at] = pb_bytes(SPAN_LITERAL("not of that kind"));
		Handfast__V1__Bundle sound = parts.bundle, bent = parts.bundle, last = parts.bundle;
		Handfast__V1__Bundle *bundles[] = {&sound, &bent, &last, &parts.bundle};
		sound.trust_domain = pb_bytes(SPAN_LITERAL("sound.test"));
		bent.trust_domain = pb_bytes(SPAN_LITERAL("bent.test"));
		last.trust_domain = pb_bytes(SPAN_LITERAL("last.test"));
		bends[i](&bent, garbage);
		parts.trust.bundles = bundles;
		parts.trust.n_bundles = 4;
		parse_trust(&parts, &down);
		assert_non_null(down.trust.bundles);
		assert_null(bundle_set_find(down.trust.bundles, SPAN_LITERAL("bent.test")));
		assert_int_equal(bundle_set_num(down.trust.bundles), 3);
		assert_non_null(bundle_set_find(down.trust.bundles, SPAN_LITERAL("sound.test")));
		assert_non_null(bundle_set_find(down.trust.bundles, SPAN_LITERAL("last.test")));
		test_mesh_free(parts.mesh);
	}
}

static void c4_refuses_bytes_that_are_no_message(_unused_ void **state)
{
	struct trust_domain domain = own();
	struct identity_down down;
	struct attest_answer answer;
	assert_int_not_equal(message_identity_down_parse(SPAN_LITERAL("\x0a\xff\xff"), &domain, &down, NULL), ERR_NONE);
	assert_int_not_equal(
		message_attest_answer_parse(SPAN_LITERAL("\x0a\xff\xff"), &domain, &answer, NULL), ERR_NONE);
	assert_int_not_equal(message_attest_answer_parse(span_of(NULL, 0), &domain, &answer, NULL), ERR_NONE);
}

static void a_message_kind_of_a_later_release_is_ignored(_unused_ void **state)
{
	struct trust_domain domain = own();
	struct identity_down down;
	/* Field 9, which this release does not have. */
	assert_int_equal(message_identity_down_parse(SPAN_LITERAL("\x4a\x00"), &domain, &down, NULL), ERR_NONE);
	assert_int_equal(down.kind, DOWN_UNKNOWN);
}

static void a_renewal_without_an_svid_is_a_refusal_with_a_reason(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(1024);
	_cleanup_(identity_down_done) struct identity_down down = {0};
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	Handfast__V1__RenewResponse renewed = HANDFAST__V1__RENEW_RESPONSE__INIT;
	struct trust_domain domain = own();
	renewed.request_id = 5;
	renewed.retry_after_ms = 700;
	renewed.refused_reason = pb_bytes(SPAN_LITERAL("banned"));
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED;
	message.renewed = &renewed;
	assert_int_equal(pb_pack(&message.base, &bytes), ERR_NONE);
	assert_int_equal(message_identity_down_parse(buf_span(&bytes), &domain, &down, NULL), ERR_NONE);
	assert_int_equal(down.kind, DOWN_RENEWED);
	assert_null(down.svid);
	assert_int_equal(down.after_ms, 700);
	assert_non_null(strstr(down.detail.got, "banned"));
}

static void a_join_token_is_sent_as_bytes(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(ATTEST_MESSAGE_MAX);
	_cleanup_(token_done) struct token token = {.id = BUF_INIT(16), .secret = BUF_INIT(64)};
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *read;
	assert_int_equal(buf_append(&token.id, span_of("i\0d", 3)), ERR_NONE);
	assert_int_equal(buf_append(&token.secret, SPAN_LITERAL("secret")), ERR_NONE);
	struct certificate_request request = {
		.attestation = {.kind = ATTESTATION_JOIN_TOKEN, .token = &token}, .csr = SPAN_LITERAL("csr")};
	assert_int_equal(message_attest_encode(&request, "1.2.3", &bytes), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__attest_request__descriptor, buf_span(&bytes), &arena, &read, NULL), ERR_NONE);
	const Handfast__V1__AttestRequest *message = (const Handfast__V1__AttestRequest *)read;
	assert_int_equal(message->attestation_data->kind_case, HANDFAST__V1__ATTESTATION_DATA__KIND_JOIN_TOKEN);
	assert_true(span_eq(pb_span(message->attestation_data->join_token->token_id), span_of("i\0d", 3)));
	assert_true(span_eq(pb_span(message->hello->release), SPAN_LITERAL("1.2.3")));
}

static void finding_p13_hello_has_the_addresses_of_the_host(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(4096);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *read;
	struct hello hello = {.release = "1.2.3", .num_addresses = 2, .zone = 7};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &hello.addresses[0]), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("2001:db8::1"), &hello.addresses[1]), ERR_NONE);
	assert_int_equal(message_hello_encode(&hello, &bytes), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_up__descriptor, buf_span(&bytes), &arena, &read, NULL), ERR_NONE);
	const Handfast__V1__IdentityUp *message = (const Handfast__V1__IdentityUp *)read;
	assert_int_equal(message->n_addresses, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(span_eq(pb_span(message->addresses[i]), ip_addr_bytes(&hello.addresses[i])));
	assert_int_equal(message->zone, 7);
}

static void hello_has_the_health_once_it_is_known(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(4096);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL, *second = NULL;
	ProtobufCMessage *read;
	struct hello hello = {.release = "1.2.3"};
	assert_int_equal(message_hello_encode(&hello, &bytes), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_up__descriptor, buf_span(&bytes), &arena, &read, NULL), ERR_NONE);
	assert_null(((const Handfast__V1__IdentityUp *)read)->health);
	hello.health = (struct sidecar_health){.is_reported = true, .is_ready = true, .conditions = 1ULL << 63};
	buf_clear(&bytes);
	assert_int_equal(message_hello_encode(&hello, &bytes), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_up__descriptor, buf_span(&bytes), &second, &read, NULL), ERR_NONE);
	const Handfast__V1__SidecarHealth *health = ((const Handfast__V1__IdentityUp *)read)->health;
	assert_non_null(health);
	assert_true(health->ready);
	assert_true(health->conditions == 1ULL << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_valid_trust_state),
		cmocka_unit_test(c14_refuses_a_trust_state_with_one_wrong_part),
		cmocka_unit_test(a_list_that_is_not_usable_is_left_out_alone),
		cmocka_unit_test(nothing_of_a_partner_is_trusted_whose_bundle_is_not_in_use),
		cmocka_unit_test(c4_refuses_bytes_that_are_no_message),
		cmocka_unit_test(a_message_kind_of_a_later_release_is_ignored),
		cmocka_unit_test(a_renewal_without_an_svid_is_a_refusal_with_a_reason),
		cmocka_unit_test(a_join_token_is_sent_as_bytes),
		cmocka_unit_test(finding_p13_hello_has_the_addresses_of_the_host),
		cmocka_unit_test(hello_has_the_health_once_it_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

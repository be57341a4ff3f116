#include "sidecar/report/pages.h"

#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OWNED _cleanup_(json_decrefp)

enum { NOW_S = 1767225600 };

/* Ports from *arg on are strict. */
static const uint16_t no_port = UINT16_MAX;
static bool is_from(const void *arg, uint16_t port)
{
	return port >= *(const uint16_t *)arg;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void certs_shows_the_identity_its_expiry_and_the_trust_bundles(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/a");
	OWNED json_t *page = page_certs(credentials, NOW_S + 600);
	assert_non_null(page);
	json_t *identity = json_object_get(page, "identity");
	assert_string_equal(text_of(identity, "id"), "spiffe://td.test/a");
	assert_string_equal(text_of(identity, "not_after"), "2026-01-01T01:00:00Z");
	assert_int_equal(json_integer_value(json_object_get(identity, "time_to_expiry_seconds")), 3000);
	assert_true(json_is_true(json_object_get(identity, "valid")));
	json_t *chain = json_object_get(identity, "chain");
	assert_int_equal(json_array_size(chain), 2);
	assert_int_equal(strlen(text_of(json_array_get(chain, 1), "sha256")), 64);
	json_t *bundle = json_array_get(json_object_get(page, "bundles"), 0);
	assert_string_equal(text_of(bundle, "trust_domain"), "td.test");
	assert_int_equal(json_array_size(json_object_get(bundle, "roots")), 1);
	assert_non_null(text_of(json_object_get(page, "epoch"), "incarnation"));
}

static void certs_shows_an_expired_and_a_missing_identity(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/a");
	OWNED json_t *over = page_certs(credentials, NOW_S + 7200);
	json_t *identity = json_object_get(over, "identity");
	assert_int_equal(json_integer_value(json_object_get(identity, "time_to_expiry_seconds")), 0);
	assert_true(json_is_false(json_object_get(identity, "valid")));
	OWNED json_t *none = page_certs(NULL, NOW_S);
	assert_true(json_is_null(json_object_get(none, "identity")));
}

static void D42_the_page_of_certificates_has_no_private_key(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/a");
	OWNED json_t *page = page_certs(credentials, NOW_S);
	char *text = json_dumps(page, 0);
	assert_null(strstr(text, "key"));
	assert_null(strstr(text, "PRIVATE"));
	free(text);
}

static void why_shows_expected_got_and_fix(void **state)
{
	(void)state;
	struct failures *failures = failures_new(8);
	struct failure seen = {.what = "tunnel", .direction = "outbound", .reason = ""};
	assert_int_equal(addr_parse(span_of_str("192.0.2.1:15008"), &seen.remote), ERR_NONE);
	(void)why_set(
		&seen.detail, ERR_WRONG_PEER, "spiffe://td.test/a", "see who listens there", "spiffe://td.test/b");
	failures_add(failures, &seen, NOW_S * 1000LL);
	failures_add(failures, &seen, NOW_S * 1000LL);
	OWNED json_t *page = page_why(failures);
	json_t *entry = json_array_get(json_object_get(page, "failures"), 0);
	assert_string_equal(text_of(entry, "error"), "wrong_peer");
	assert_string_equal(text_of(entry, "expected"), "spiffe://td.test/a");
	assert_string_equal(text_of(entry, "got"), "spiffe://td.test/b");
	assert_string_equal(text_of(entry, "fix"), "see who listens there");
	assert_string_equal(text_of(entry, "remote"), "192.0.2.1:15008");
	assert_true(json_is_null(json_object_get(entry, "destination")));
	assert_null(json_object_get(entry, "reason"));
	assert_int_equal(json_integer_value(json_object_get(entry, "times")), 2);
	failures_free(failures);
}

static void a_degraded_sidecar_is_ready_and_a_failed_one_is_not(void **state)
{
	(void)state;
	struct port_use *ports = port_use_new();
	struct page_condition conditions[] = {
		{.name = "identity", .level = PAGE_OK},
		{.name = "control plane unreachable", .level = PAGE_DEGRADED, .detail = "for 5 s", .fix = "see it"},
	};
	OWNED json_t *page = page_check(conditions, 2, ports, is_from, &no_port);
	assert_true(json_is_true(json_object_get(page, "ready")));
	json_t *away = json_array_get(json_object_get(page, "conditions"), 1);
	assert_string_equal(text_of(away, "level"), "degraded");
	assert_string_equal(text_of(away, "detail"), "for 5 s");
	assert_null(json_object_get(json_array_get(json_object_get(page, "conditions"), 0), "detail"));
	conditions[0].level = PAGE_FAILED;
	assert_false(page_is_ready(conditions, 2));
	OWNED json_t *failed = page_check(conditions, 2, ports, is_from, &no_port);
	assert_true(json_is_false(json_object_get(failed, "ready")));
	port_use_free(ports);
}

static void ports_that_only_mesh_traffic_has_used_are_ready_for_strict(void **state)
{
	(void)state;
	struct port_use *ports = port_use_new();
	port_use_add(ports, 8080, true);
	port_use_add(ports, 9090, true);
	port_use_add(ports, 9090, false);
	OWNED json_t *page = page_check(NULL, 0, ports, is_from, &no_port);
	json_t *inbound = json_object_get(page, "inbound_ports");
	assert_int_equal(json_array_size(json_object_get(inbound, "ready_for_strict")), 1);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(inbound, "ready_for_strict"), 0)), 8080);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(inbound, "plaintext_seen"), 0)), 9090);
	port_use_free(ports);
}

static void ports_that_are_strict_are_listed_as_such(void **state)
{
	(void)state;
	const uint16_t first = 8080;
	struct port_use *ports = port_use_new();
	port_use_add(ports, 8080, true);
	port_use_add(ports, 9090, false); /* before it was strict */
	port_use_add(ports, 7070, true);
	OWNED json_t *page = page_check(NULL, 0, ports, is_from, &first);
	json_t *inbound = json_object_get(page, "inbound_ports");
	assert_int_equal(json_array_size(json_object_get(inbound, "ready_for_strict")), 1);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(inbound, "ready_for_strict"), 0)), 7070);
	assert_int_equal(json_array_size(json_object_get(inbound, "plaintext_seen")), 0);
	assert_int_equal(json_array_size(json_object_get(inbound, "strict")), 2);
	port_use_free(ports);
}

static void finding_o3_a_setting_shows_its_origin_even_if_it_is_not_utf8(void **state)
{
	(void)state;
	OWNED json_t *level = page_setting(&(struct page_setting){
		.key = "log.level", .value = "no\xfftice", .from = "flag", .origin = "--log.level"});
	assert_string_equal(text_of(level, "key"), "log.level");
	assert_string_equal(text_of(level, "value"), "no\\xfftice");
	assert_string_equal(text_of(level, "from"), "flag");
	assert_string_equal(text_of(level, "origin"), "--log.level");
	assert_null(json_object_get(level, "after_restart"));
	OWNED json_t *token = page_setting(&(struct page_setting){
		.key = "identity.token_file", .from = "default", .origin = "default", .waits = true, .next = "/t"});
	assert_true(json_is_null(json_object_get(token, "value")));
	assert_string_equal(text_of(token, "after_restart"), "/t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certs_shows_the_identity_its_expiry_and_the_trust_bundles),
		cmocka_unit_test(certs_shows_an_expired_and_a_missing_identity),
		cmocka_unit_test(D42_the_page_of_certificates_has_no_private_key),
		cmocka_unit_test(why_shows_expected_got_and_fix),
		cmocka_unit_test(a_degraded_sidecar_is_ready_and_a_failed_one_is_not),
		cmocka_unit_test(ports_that_only_mesh_traffic_has_used_are_ready_for_strict),
		cmocka_unit_test(ports_that_are_strict_are_listed_as_such),
		cmocka_unit_test(finding_o3_a_setting_shows_its_origin_even_if_it_is_not_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

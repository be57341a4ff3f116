#include "sidecar/workload_api/sds_messages.h"

#include "base/core/cleanup.h"
#include "base/pb/unpack.h"
#include "certs/test_mesh.h"
#include "proto/workload/sds.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000 };
#define ID "spiffe://example.org/app"

/* --- requests --- */

static enum err parsed(const Handfast__Sds__DiscoveryRequest *message, struct sds_request *out)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(SDS_REQUEST_MAX);
	struct why why = {0};
	assert_int_equal(pb_pack(&message->base, &bytes), ERR_NONE);
	enum err err = sds_request_parse(buf_span(&bytes), out, &why);
	assert_int_equal(err, why.err);
	return err;
}

static void reads_a_request(void **state)
{
	(void)state;
	Handfast__Sds__DiscoveryRequest message = HANDFAST__SDS__DISCOVERY_REQUEST__INIT;
	Handfast__Sds__Status status = HANDFAST__SDS__STATUS__INIT;
	ProtobufCBinaryData names[] = {pb_bytes(SPAN_LITERAL("default")), pb_bytes(SPAN_LITERAL("ROOTCA"))};
	message.n_resource_names = 2;
	message.resource_names = names;
	message.type_url = pb_bytes(SPAN_LITERAL(SDS_TYPE_URL));
	message.response_nonce = pb_bytes(SPAN_LITERAL("7"));
	status.message = pb_bytes(SPAN_LITERAL("no"));
	message.error_detail = &status;
	_cleanup_(sds_request_done) struct sds_request request = {0};
	assert_int_equal(parsed(&message, &request), ERR_NONE);
	assert_int_equal(request.names.num, 2);
	assert_string_equal(request.names.texts[1], "ROOTCA");
	assert_string_equal(request.nonce, "7");
	assert_true(request.is_refusal && !request.is_other_type && request.wants == SDS_BY_DOMAIN);
	assert_string_equal(request.refusal, "no");
}

static void reads_that_the_node_requests_roots_alone(void **state)
{
	(void)state;
	Handfast__Sds__DiscoveryRequest message = HANDFAST__SDS__DISCOVERY_REQUEST__INIT;
	Handfast__Sds__Node node = HANDFAST__SDS__NODE__INIT;
	Handfast__Sds__Metadata metadata = HANDFAST__SDS__METADATA__INIT;
	Handfast__Sds__MetadataField field = HANDFAST__SDS__METADATA_FIELD__INIT, *fields[] = {&field};
	Handfast__Sds__MetadataValue value = HANDFAST__SDS__METADATA_VALUE__INIT;
	message.node = &node;
	node.metadata = &metadata;
	metadata.n_fields = 1;
	metadata.fields = fields;
	field.key = pb_bytes(SPAN_LITERAL("disable_spiffe_cert_validation"));
	struct sds_request request = {0};
	assert_int_equal(parsed(&message, &request), ERR_NONE); /* the field has no value */
	assert_int_equal(request.wants, SDS_BY_DOMAIN);
	field.value = &value;
	assert_int_equal(parsed(&message, &request), ERR_NONE);
	assert_int_equal(request.wants, SDS_BY_DOMAIN);
	value.bool_value = true;
	assert_int_equal(parsed(&message, &request), ERR_NONE);
	assert_int_equal(request.wants, SDS_ROOTS);
	value.bool_value = false;
	value.string_value = pb_bytes(SPAN_LITERAL("true"));
	assert_int_equal(parsed(&message, &request), ERR_NONE);
	assert_int_equal(request.wants, SDS_ROOTS);
}

static void refuses_too_many_and_malformed_names(void **state)
{
	(void)state;
	static const char long_name[SDS_NAME_MAX + 1];
	Handfast__Sds__DiscoveryRequest message = HANDFAST__SDS__DISCOVERY_REQUEST__INIT;
	ProtobufCBinaryData names[SDS_NAMES_MAX + 1];
	struct sds_request request = {0};
	struct why why = {0};
	for (size_t i = 0; i <= SDS_NAMES_MAX; i++)
		names[i] = pb_bytes(SPAN_LITERAL("name"));
	message.resource_names = names;
	message.n_resource_names = SDS_NAMES_MAX + 1;
	assert_int_equal(parsed(&message, &request), ERR_TOO_LARGE);
	message.n_resource_names = 2;
	names[1] = pb_bytes(SPAN_LITERAL("a\0b"));
	assert_int_equal(parsed(&message, &request), ERR_MALFORMED);
	names[1] = pb_bytes(SPAN_LITERAL(""));
	assert_int_equal(parsed(&message, &request), ERR_MALFORMED);
	names[1] = pb_bytes(span_of(long_name, sizeof(long_name)));
	assert_int_equal(parsed(&message, &request), ERR_MALFORMED);
	assert_int_equal(sds_request_parse(SPAN_LITERAL("\xff\xff"), &request, &why), ERR_MALFORMED);
}

/* --- answers --- */

static enum err encoded(const char *name, enum sds_validation validation, struct buf *out)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials = test_mesh_credentials(mesh, ID);
	char text[64];
	struct why why = {0};
	(void)snprintf(text, sizeof(text), "%s", name);
	const struct sds_names names = {{text}, 1};
	const struct sds_answer answer = {&names, validation, "3", "4"};
	enum err err = sds_answer_encode(credentials, &answer, out, &why);
	assert_int_equal(err, why.err);
	return err;
}

/* The only secret of an answer. */
static Handfast__Sds__Secret *secret_of(const struct buf *bytes, struct pb_arena *arenas[2])
{
	ProtobufCMessage *base;
	assert_int_equal(
		pb_unpack(&handfast__sds__discovery_response__descriptor, buf_span(bytes), &arenas[0], &base, NULL),
		ERR_NONE);
	const Handfast__Sds__DiscoveryResponse *answer = (const Handfast__Sds__DiscoveryResponse *)base;
	assert_true(span_eq(pb_span(answer->version_info), SPAN_LITERAL("3")));
	assert_true(span_eq(pb_span(answer->nonce), SPAN_LITERAL("4")));
	assert_int_equal(answer->n_resources, 1);
	assert_true(span_eq(pb_span(answer->resources[0]->type_url), SPAN_LITERAL(SDS_TYPE_URL)));
	assert_int_equal(pb_unpack(&handfast__sds__secret__descriptor, pb_span(answer->resources[0]->value), &arenas[1],
				 &base, NULL),
		ERR_NONE);
	return (Handfast__Sds__Secret *)base;
}

static void names_of_the_own_certificate(void **state)
{
	static const char *const names[] = {"default", ID};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(buf_wipe) struct buf bytes = BUF_INIT(100000);
		struct pb_arena *arenas[2] = {0};
		assert_int_equal(encoded(names[i], SDS_BY_DOMAIN, &bytes), ERR_NONE);
		const Handfast__Sds__Secret *secret = secret_of(&bytes, arenas);
		assert_true(span_eq(pb_span(secret->name), span_of_str(names[i])));
		assert_int_equal(secret->kind_case, HANDFAST__SDS__SECRET__KIND_TLS_CERTIFICATE);
		assert_true(span_starts_with(pb_span(secret->tls_certificate->certificate_chain->inline_bytes),
			SPAN_LITERAL("-----BEGIN CERTIFICATE-----\n")));
		assert_true(span_starts_with(pb_span(secret->tls_certificate->private_key->inline_bytes),
			SPAN_LITERAL("-----BEGIN PRIVATE KEY-----\n")));
		pb_arena_free(arenas[1]);
		pb_arena_free(arenas[0]);
	}
}

static void names_of_what_others_are_validated_by(void **state)
{
	static const char *const names[] = {"ROOTCA", "ALL", "example.org", "spiffe://example.org"};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		_cleanup_(buf_done) struct buf bytes = BUF_INIT(100000);
		struct pb_arena *arenas[2] = {0};
		assert_int_equal(encoded(names[i], SDS_BY_DOMAIN, &bytes), ERR_NONE);
		const Handfast__Sds__Secret *secret = secret_of(&bytes, arenas);
		assert_int_equal(secret->kind_case, HANDFAST__SDS__SECRET__KIND_VALIDATION_CONTEXT);
		assert_null(secret->validation_context->trusted_ca);
		assert_true(span_eq(pb_span(secret->validation_context->custom_validator_config->name),
			SPAN_LITERAL("envoy.tls.cert_validator.spiffe")));
		pb_arena_free(arenas[1]);
		pb_arena_free(arenas[0]);
	}
}

static void roots_alone_for_a_node_that_wants_them(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(100000);
	struct pb_arena *arenas[2] = {0};
	assert_int_equal(encoded("ROOTCA", SDS_ROOTS, &bytes), ERR_NONE);
	const Handfast__Sds__Secret *secret = secret_of(&bytes, arenas);
	assert_non_null(secret->validation_context->trusted_ca);
	assert_null(secret->validation_context->custom_validator_config);
	pb_arena_free(arenas[1]);
	pb_arena_free(arenas[0]);
}

static void unknown_names_are_not_found(void **state)
{
	static const char *const names[] = {
		"other", "spiffe://example.org/other", "spiffe://other.org", "Example.org", "spiffe://"};
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(buf_done) struct buf bytes = BUF_INIT(100000);
		assert_int_equal(encoded(names[i], SDS_BY_DOMAIN, &bytes), ERR_NOT_FOUND);
		assert_int_equal(buf_len(&bytes), 0);
	}
}

/* Envoy and its operator have the reason, not the end of a stream. */
static void lists_that_are_too_large_are_an_error_with_a_reason(void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", TEST_NOW_S);
	_cleanup_(buf_done) struct buf list = BUF_INIT(4u * 1024 * 1024), bytes = BUF_INIT(4u * 1024 * 1024);
	const struct trust_domain domain = {"example.org"};
	struct test_crl_spec spec = test_crl_spec();
	char text[] = "ROOTCA";
	struct why why = {0};
	(void)state;
	spec.num_others = 40000;
	test_crl_make(&spec, test_mesh_root(mesh), &list);
	assert_int_equal(bundle_set_add_crl(test_mesh_bundles(mesh), &domain, buf_span(&list), &why), ERR_NONE);
	_cleanup_(credentials_unrefp) struct credentials *credentials = test_mesh_credentials(mesh, ID);
	const struct sds_names names = {{text}, 1};
	const struct sds_answer answer = {&names, SDS_ROOTS_AND_LISTS, "3", "4"};
	assert_int_equal(sds_answer_encode(credentials, &answer, &bytes, &why), ERR_LIMIT);
	assert_int_equal(why.err, ERR_LIMIT);
	assert_string_equal(why.got, "the revocation lists of example.org are larger");
	assert_non_null(strstr(why.expected, "1048576"));
	assert_non_null(strstr(why.fix, "check_leaf_crl"));
	const struct sds_answer without = {&names, SDS_ROOTS, "3", "4"};
	assert_int_equal(sds_answer_encode(credentials, &without, &bytes, &why), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_request),
		cmocka_unit_test(reads_that_the_node_requests_roots_alone),
		cmocka_unit_test(refuses_too_many_and_malformed_names),
		cmocka_unit_test(names_of_the_own_certificate),
		cmocka_unit_test(names_of_what_others_are_validated_by),
		cmocka_unit_test(roots_alone_for_a_node_that_wants_them),
		cmocka_unit_test(unknown_names_are_not_found),
		cmocka_unit_test(lists_that_are_too_large_are_an_error_with_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

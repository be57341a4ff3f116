#include "certs/test_extensions.h"
#include "base/core/check.h"
#include "certs/boringssl.h"

#define VALUE_MAX 8192

static X509_EXTENSION *make(const char *oid, bool is_critical, struct span der)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	CHECK(object != NULL && value != NULL && ASN1_OCTET_STRING_set(value, der.ptr, (int)der.len));
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, is_critical, value);
	CHECK(extension != NULL);
	ASN1_OBJECT_free(object);
	ASN1_OCTET_STRING_free(value);
	return extension;
}

static void add(X509 *cert, const char *oid, bool is_critical, struct span der)
{
	X509_EXTENSION *extension = make(oid, is_critical, der);
	CHECK(X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
}

static void add_cbb(X509 *cert, const char *oid, bool is_critical, CBB *cbb)
{
	CHECK(CBB_flush(cbb));
	add(cert, oid, is_critical, span_of(CBB_data(cbb), CBB_len(cbb)));
}

static void put_oid(CBB *out, const char *dotted)
{
	CBB oid;
	CHECK(CBB_add_asn1(out, &oid, CBS_ASN1_OBJECT) && CBB_add_asn1_oid_from_text(&oid, dotted, strlen(dotted)) &&
		CBB_flush(out));
}

static void put_other_name(CBB *out, struct span text)
{
	CBB other, value, utf8;
	CHECK(CBB_add_asn1(out, &other, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0));
	put_oid(&other, "1.3.6.1.4.1.311.20.2.3");
	CHECK(CBB_add_asn1(&other, &value, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) &&
		CBB_add_asn1(&value, &utf8, CBS_ASN1_UTF8STRING) && CBB_add_bytes(&utf8, text.ptr, text.len) &&
		CBB_flush(out));
}

/* RFC 5280 4.2.1.6. */
static void put_name(CBB *out, const struct test_name *name)
{
	static const CBS_ASN1_TAG tags[] = {
		[TEST_NAME_URI] = CBS_ASN1_CONTEXT_SPECIFIC | 6,
		[TEST_NAME_DNS] = CBS_ASN1_CONTEXT_SPECIFIC | 2,
		[TEST_NAME_EMAIL] = CBS_ASN1_CONTEXT_SPECIFIC | 1,
		[TEST_NAME_IP] = CBS_ASN1_CONTEXT_SPECIFIC | 7,
	};
	CBB bytes;
	if (name->kind == TEST_NAME_OTHER)
		put_other_name(out, name->text);
	else
		CHECK(CBB_add_asn1(out, &bytes, tags[name->kind]) &&
			CBB_add_bytes(&bytes, name->text.ptr, name->text.len) && CBB_flush(out));
}

static void add_names(X509 *cert, const struct test_cert_spec *spec)
{
	uint8_t room[VALUE_MAX];
	CBB cbb, names;
	if (spec->names[0].kind == TEST_NAME_NONE)
		return;
	CBB_init_fixed(&cbb, room, sizeof(room));
	CHECK(CBB_add_asn1(&cbb, &names, CBS_ASN1_SEQUENCE));
	for (size_t i = 0; i < TEST_NAMES_MAX && spec->names[i].kind != TEST_NAME_NONE; i++)
		put_name(&names, &spec->names[i]);
	add_cbb(cert, "2.5.29.17", spec->is_san_critical, &cbb);
	if (spec->has_second_san)
		add_cbb(cert, "2.5.29.17", spec->is_san_critical, &cbb);
}

static void add_basic_constraints(X509 *cert, const struct test_cert_spec *spec)
{
	uint8_t room[32];
	CBB cbb, body;
	if (!spec->has_basic_constraints)
		return;
	CBB_init_fixed(&cbb, room, sizeof(room));
	CHECK(CBB_add_asn1(&cbb, &body, CBS_ASN1_SEQUENCE));
	if (spec->is_ca)
		CHECK(CBB_add_asn1_bool(&body, 1));
	if (spec->path_length >= 0)
		CHECK(CBB_add_asn1_uint64(&body, (uint64_t)spec->path_length));
	add_cbb(cert, "2.5.29.19", true, &cbb);
}

static uint8_t num_unused_bits(uint8_t bits)
{
	uint8_t num = 0;
	while (num < 8 && (bits & (1U << num)) == 0)
		num++;
	return bits == 0 ? 0 : num;
}

static void add_key_usage(X509 *cert, const struct test_cert_spec *spec)
{
	if (spec->key_usage == TEST_KU_NONE)
		return;
	uint8_t bits = (uint8_t)spec->key_usage;
	uint8_t der[] = {0x03, 0x02, num_unused_bits(bits), bits};
	if (bits == 0) /* DER: no trailing zero bits */
		der[1] = 1;
	add(cert, "2.5.29.15", spec->is_key_usage_critical, span_of(der, (size_t)(2 + der[1])));
}

static void add_purposes(X509 *cert, unsigned purposes)
{
	static const char *const oids[] = {
		"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0", "1.3.6.1.5.5.7.3.4"};
	uint8_t room[128];
	CBB cbb, body;
	if (purposes == TEST_EKU_NONE)
		return;
	CBB_init_fixed(&cbb, room, sizeof(room));
	CHECK(CBB_add_asn1(&cbb, &body, CBS_ASN1_SEQUENCE));
	for (size_t i = 0; i < 4; i++)
		if ((purposes & (1U << i)) != 0)
			put_oid(&body, oids[i]);
	add_cbb(cert, "2.5.29.37", false, &cbb);
}

/* names: two */
static void put_subtrees(CBB *out, unsigned tag, const struct test_name *names)
{
	CBB subtrees, subtree;
	if (names[0].kind == TEST_NAME_NONE)
		return;
	CHECK(CBB_add_asn1(out, &subtrees, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | tag));
	for (size_t i = 0; i < 2 && names[i].kind != TEST_NAME_NONE; i++) {
		CHECK(CBB_add_asn1(&subtrees, &subtree, CBS_ASN1_SEQUENCE));
		put_name(&subtree, &names[i]);
		CHECK(CBB_flush(&subtrees));
	}
	CHECK(CBB_flush(out));
}

static void add_constraints(X509 *cert, const struct test_cert_spec *spec)
{
	uint8_t room[1024];
	CBB cbb, body;
	if (spec->permitted[0].kind == TEST_NAME_NONE && spec->excluded[0].kind == TEST_NAME_NONE)
		return;
	CBB_init_fixed(&cbb, room, sizeof(room));
	CHECK(CBB_add_asn1(&cbb, &body, CBS_ASN1_SEQUENCE));
	put_subtrees(&body, 0, spec->permitted);
	put_subtrees(&body, 1, spec->excluded);
	add_cbb(cert, "2.5.29.30", true, &cbb);
}

static void key_id(X509 *cert, uint8_t out[SHA_DIGEST_LENGTH])
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cert);
	SHA1(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), out);
}

static void add_key_ids(X509 *cert, X509 *issuer)
{
	uint8_t subject[2 + SHA_DIGEST_LENGTH] = {0x04, SHA_DIGEST_LENGTH};
	uint8_t authority[4 + SHA_DIGEST_LENGTH] = {0x30, 2 + SHA_DIGEST_LENGTH, 0x80, SHA_DIGEST_LENGTH};
	key_id(cert, subject + 2);
	key_id(issuer, authority + 4);
	add(cert, "2.5.29.14", false, span_of(subject, sizeof(subject)));
	add(cert, "2.5.29.35", false, span_of(authority, sizeof(authority)));
}

void test_extensions_add(X509 *cert, const struct test_cert_spec *spec, X509 *issuer)
{
	static const uint8_t null[] = {0x05, 0x00};
	add_basic_constraints(cert, spec);
	add_key_usage(cert, spec);
	add_purposes(cert, spec->purposes);
	add_names(cert, spec);
	add_constraints(cert, spec);
	if (!spec->leaves_key_ids_out)
		add_key_ids(cert, issuer);
	for (size_t i = 0; i < TEST_EXTENSIONS_MAX && spec->extensions[i].oid != NULL; i++) {
		const struct test_extension *extra = &spec->extensions[i];
		add(cert, extra->oid, extra->is_critical,
			extra->der.len > 0 ? extra->der : span_of(null, sizeof(null)));
	}
}

void test_extensions_limit_scope(X509_CRL *crl)
{
	static const uint8_t only_user_certificates[] = {0x30, 0x03, 0x81, 0x01, 0xff};
	X509_EXTENSION *extension =
		make("2.5.29.28", true, span_of(only_user_certificates, sizeof(only_user_certificates)));
	CHECK(X509_CRL_add_ext(crl, extension, -1));
	X509_EXTENSION_free(extension);
}

#include "certs/csr.h"
#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/der.h"

#define CSR_EXPECTED "a PKCS#10 certification request in DER, signed by its own key"
#define CSR_FIX      "make a new request with a P-256 key and a SHA-2 signature"

/* The allowed signature AlgorithmIdentifiers as DER (RFC 5758 3.2, RFC 4055 5, RFC 8410 3). */
static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ecdsa_sha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
static const uint8_t rsa_sha256[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

static const struct {
	struct span identifier;
	int key_kind;
	const EVP_MD *(*digest)(void); /* NULL: part of the algorithm */
} algorithms[] = {
	{{ecdsa_sha256, sizeof(ecdsa_sha256)}, EVP_PKEY_EC, EVP_sha256},
	{{ecdsa_sha384, sizeof(ecdsa_sha384)}, EVP_PKEY_EC, EVP_sha384},
	{{rsa_sha256, sizeof(rsa_sha256)}, EVP_PKEY_RSA, EVP_sha256},
	{{ed25519, sizeof(ed25519)}, EVP_PKEY_ED25519, NULL},
};

struct csr_parts {
	CBS info; /* CertificationRequestInfo, header included: the signed bytes */
	CBS spki;
	CBS algorithm;
	CBS signature;
};

/* RFC 2985 5.4.2 (extensionRequest), RFC 5280 4.2.1.6. */
static bool add_uri(CBB *attributes, struct span uri)
{
	static const uint8_t extension_request[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e};
	static const uint8_t subject_alt_name[] = {0x55, 0x1d, 0x11};
	CBB attribute, id, values, extensions, extension, octets, names, name;
	return CBB_add_asn1(attributes, &attribute, CBS_ASN1_SEQUENCE) &&
	       CBB_add_asn1(&attribute, &id, CBS_ASN1_OBJECT) &&
	       CBB_add_bytes(&id, extension_request, sizeof extension_request) &&
	       CBB_add_asn1(&attribute, &values, CBS_ASN1_SET) &&
	       CBB_add_asn1(&values, &extensions, CBS_ASN1_SEQUENCE) &&
	       CBB_add_asn1(&extensions, &extension, CBS_ASN1_SEQUENCE) &&
	       CBB_add_asn1(&extension, &id, CBS_ASN1_OBJECT) &&
	       CBB_add_bytes(&id, subject_alt_name, sizeof subject_alt_name) && CBB_add_asn1_bool(&extension, 1) &&
	       CBB_add_asn1(&extension, &octets, CBS_ASN1_OCTETSTRING) &&
	       CBB_add_asn1(&octets, &names, CBS_ASN1_SEQUENCE) &&
	       CBB_add_asn1(&names, &name, CBS_ASN1_CONTEXT_SPECIFIC | 6) && CBB_add_bytes(&name, uri.ptr, uri.len) &&
	       CBB_flush(attributes); /* its children end with this function */
}

static bool add_info(CBB *out, const struct private_key *key, struct span uri)
{
	CBB info, name, attributes;
	return CBB_add_asn1(out, &info, CBS_ASN1_SEQUENCE) && CBB_add_asn1_uint64(&info, 0) &&
	       CBB_add_asn1(&info, &name, CBS_ASN1_SEQUENCE) &&
	       EVP_marshal_public_key(&info, private_key_get0_evp(key)) &&
	       CBB_add_asn1(&info, &attributes, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) &&
	       (uri.len == 0 || add_uri(&attributes, uri)) && CBB_flush(out);
}

static bool add_signed(CBB *out, struct span info, struct span signature)
{
	CBB request, bits;
	return CBB_add_asn1(out, &request, CBS_ASN1_SEQUENCE) && CBB_add_bytes(&request, info.ptr, info.len) &&
	       CBB_add_bytes(&request, ecdsa_sha256, sizeof(ecdsa_sha256)) &&
	       CBB_add_asn1(&request, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
	       CBB_add_bytes(&bits, signature.ptr, signature.len) && CBB_flush(out);
}

enum err csr_encode(const struct private_key *key, struct buf *out_der)
{
	return csr_encode_with_uri(key, (struct span){0}, out_der);
}

enum err csr_encode_with_uri(const struct private_key *key, struct span uri, struct buf *out_der)
{
	uint8_t info_bytes[256 + CSR_URI_MAX], request_bytes[512 + CSR_URI_MAX];
	_cleanup_(buf_done) struct buf signature = BUF_INIT(128);
	CBB info, request;
	CHECK(uri.len <= CSR_URI_MAX);
	CBB_init_fixed(&info, info_bytes, sizeof(info_bytes));
	CBB_init_fixed(&request, request_bytes, sizeof(request_bytes));
	CHECK(add_info(&info, key, uri));
	struct span info_der = span_of(CBB_data(&info), CBB_len(&info));
	RETURN_IF_ERR(private_key_sign(key, info_der, &signature));
	CHECK(add_signed(&request, info_der, buf_span(&signature)));
	return buf_append(out_der, span_of(CBB_data(&request), CBB_len(&request)));
}

static bool split_info(CBS info, CBS *out_spki)
{
	CBS body, name, attributes;
	uint64_t version;
	return CBS_get_asn1(&info, &body, CBS_ASN1_SEQUENCE) && CBS_get_asn1_uint64(&body, &version) && version == 0 &&
	       CBS_get_asn1(&body, &name, CBS_ASN1_SEQUENCE) &&
	       CBS_get_asn1_element(&body, out_spki, CBS_ASN1_SEQUENCE) &&
	       CBS_get_asn1(&body, &attributes, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) &&
	       CBS_len(&body) == 0;
}

static bool split(struct span der, struct csr_parts *out)
{
	CBS in, request;
	uint8_t unused_bits;
	CBS_init(&in, der.ptr, der.len);
	return CBS_get_asn1(&in, &request, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0 &&
	       CBS_get_asn1_element(&request, &out->info, CBS_ASN1_SEQUENCE) &&
	       CBS_get_asn1_element(&request, &out->algorithm, CBS_ASN1_SEQUENCE) &&
	       CBS_get_asn1(&request, &out->signature, CBS_ASN1_BITSTRING) && CBS_len(&request) == 0 &&
	       CBS_get_u8(&out->signature, &unused_bits) && unused_bits == 0 && split_info(out->info, &out->spki);
}

static bool signature_matches(const struct csr_parts *parts, EVP_PKEY *key, const EVP_MD *digest)
{
	EVP_MD_CTX context;
	EVP_MD_CTX_init(&context);
	bool matches = EVP_DigestVerifyInit(&context, NULL, digest, NULL, key) &&
		       EVP_DigestVerify(&context, CBS_data(&parts->signature), CBS_len(&parts->signature),
			       CBS_data(&parts->info), CBS_len(&parts->info));
	EVP_MD_CTX_cleanup(&context);
	ERR_clear_error();
	return matches;
}

/* Proof of possession of the private key (RFC 2986 3). */
static enum err check_proof(const struct csr_parts *parts, EVP_PKEY *key, struct why *why)
{
	struct span identifier = span_of(CBS_data(&parts->algorithm), CBS_len(&parts->algorithm));
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		if (algorithms[i].key_kind != EVP_PKEY_id(key) || !span_eq(identifier, algorithms[i].identifier))
			continue;
		const EVP_MD *digest = algorithms[i].digest == NULL ? NULL : algorithms[i].digest();
		if (signature_matches(parts, key, digest))
			return ERR_NONE;
		return why_set(
			why, ERR_CRYPTO, CSR_EXPECTED, CSR_FIX, "the request's signature does not verify with its key");
	}
	return why_set(why, ERR_UNSUPPORTED, CSR_EXPECTED, CSR_FIX, "the request's signature algorithm is not allowed");
}

enum err csr_parse(struct span der, struct buf *out_spki, struct why *why)
{
	struct csr_parts parts;
	if (der.len > CSR_MAX)
		return why_set(why, ERR_TOO_LARGE, CSR_EXPECTED, CSR_FIX, "the request has %zu bytes", der.len);
	if (!split(der, &parts) || !der_is_strict(der))
		return why_set(
			why, ERR_MALFORMED, CSR_EXPECTED, CSR_FIX, "the request does not parse (%zu bytes)", der.len);
	struct span spki = span_of(CBS_data(&parts.spki), CBS_len(&parts.spki));
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	RETURN_IF_ERR(public_key_parse(spki, &key, why));
	RETURN_IF_ERR(check_proof(&parts, key, why));
	return buf_append(out_spki, spki);
}

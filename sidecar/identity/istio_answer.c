#include "sidecar/identity/istio_answer.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/json/jws.h"
#include "base/pb/unpack.h"
#include "certs/csr.h"
#include "certs/pem.h"
#include "proto/istio/ca.pb-c.h"
#include <string.h>

#define FIX       "inspect the log of the Istio CA, which is istiod's"
#define FIX_TOKEN "mount a projected token (serviceAccountToken, audience istio-ca), or set identity.spiffe_id"

/* Those of a chain, its roots included: an intermediate's file often has the root too. */
enum { CERTIFICATES_MAX = SVID_CHAIN_MAX + BUNDLE_ROOTS_MAX };

/* --- the request --- */

static bool account_parse(struct span subject, struct span *out_namespace, struct span *out_account)
{
	static const struct span prefix = SPAN_LITERAL("system:serviceaccount:");
	if (!span_starts_with(subject, prefix))
		return false;
	struct span rest = span_of(subject.ptr + prefix.len, subject.len - prefix.len);
	const uint8_t *colon = rest.len == 0 ? NULL : memchr(rest.ptr, ':', rest.len);
	if (colon == NULL)
		return false;
	*out_namespace = span_of(rest.ptr, (size_t)(colon - rest.ptr));
	*out_account = span_of(colon + 1, rest.len - out_namespace->len - 1);
	return true;
}

static enum err not_a_token(struct why *why)
{
	return why_set(why, ERR_MALFORMED, "a service account token of Kubernetes", FIX_TOKEN,
		"the token has no subject system:serviceaccount:NAMESPACE:ACCOUNT");
}

enum err istio_token_identity(
	struct span token, const struct trust_domain *domain, struct spiffe_id *out, struct why *why)
{
	struct jws jws;
	struct span namespace, account;
	if (!jws_split(token, &jws))
		return not_a_token(why);
	json_t *claims = jws_object(jws.payload, ISTIO_TOKEN_MAX);
	const json_t *subject = json_object_get(claims, "sub");
	char *text = json_is_string(subject) &&
				     account_parse(span_of(json_string_value(subject), json_string_length(subject)),
					     &namespace, &account)
			     ? mem_printf("spiffe://%s/ns/%.*s/sa/%.*s", domain->name, (int)namespace.len,
				       (const char *)namespace.ptr, (int)account.len, (const char *)account.ptr)
			     : NULL;
	json_decref(claims);
	if (text == NULL)
		return not_a_token(why);
	enum err err = spiffe_id_parse(span_of_str(text), out, why);
	mem_free(text);
	return err;
}

enum err istio_request_encode(
	const struct private_key *key, const struct spiffe_id *id, uint64_t ttl_s, struct buf *out)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(CSR_MAX), pem = BUF_INIT(2 * CSR_MAX);
	Handfast__Istio__CertificateRequest request = HANDFAST__ISTIO__CERTIFICATE_REQUEST__INIT;
	RETURN_IF_ERR(csr_encode_with_uri(key, spiffe_id_text(id), &der));
	RETURN_IF_ERR(pem_encode("CERTIFICATE REQUEST", buf_span(&der), &pem));
	request.csr = pb_bytes(buf_span(&pem));
	request.validity_duration = (int64_t)ttl_s;
	return pb_pack(&request.base, out);
}

/* --- the answer --- */

struct certificates {
	struct pem_block blocks[CERTIFICATES_MAX];
	struct span der[CERTIFICATES_MAX]; /* of the blocks */
	size_t num;
};

static void certificates_done(struct certificates *certificates)
{
	for (size_t i = 0; i < CERTIFICATES_MAX; i++)
		pem_block_done(&certificates->blocks[i]);
}

static enum err take(struct span pem, struct certificates *out, struct why *why)
{
	enum err err = ERR_NONE;
	while (err == ERR_NONE) {
		struct pem_block block = {0};
		err = pem_next(&pem, &block);
		if (err == ERR_NONE && strcmp(block.label, "CERTIFICATE") == 0) {
			if (out->num == CERTIFICATES_MAX) {
				pem_block_done(&block);
				return why_set(why, ERR_TOO_LARGE, "a chain of at most 4 certificates, and 32 roots",
					FIX, "the answer of the Istio CA has more");
			}
			out->blocks[out->num] = block;
			out->der[out->num++] = span_of(block.der, block.der_len);
			block = (struct pem_block){0};
		}
		pem_block_done(&block);
	}
	return err == ERR_NOT_FOUND ? ERR_NONE
				    : why_set(why, err, "certificates in PEM", FIX,
					      "a part of the answer of the Istio CA is something else");
}

static bool is_among(struct span der, const struct certificates *roots)
{
	for (size_t i = 0; i < roots->num; i++)
		if (span_eq(der, roots->der[i]))
			return true;
	return false;
}

/* A root at the end of the chain proves nothing: what is trusted is the last element. */
static enum err read_chain(const struct certificates *chain, const struct certificates *roots,
	const struct workload_choice *choice, struct workload_answer *out, struct why *why)
{
	size_t num = chain->num;
	while (num > 1 && is_among(chain->der[num - 1], roots))
		num--;
	if (num == 0)
		return why_set(why, ERR_MALFORMED, "a certificate of this sidecar", FIX,
			"the answer of the Istio CA has a root only");
	if (num > SVID_CHAIN_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 4 certificates", "let the Istio CA have a shorter chain",
			"the chain of the Istio CA has %zu", num);
	RETURN_IF_ERR(svid_parse(chain->der, num, &out->svid, why));
	if (span_eq(spiffe_id_text(svid_id(out->svid)), span_of_str(choice->wanted)))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "a certificate for the identity that was asked for",
		"let identity.spiffe_id or the token, and trust_domain, be those of the Istio CA (its meshConfig)",
		"asked for %.200s, and the Istio CA sent one for %.200s", choice->wanted, svid_id(out->svid)->text);
}

static enum err read_answer(const Handfast__Istio__CertificateResponse *wire, const struct workload_choice *choice,
	struct workload_answer *out, struct why *why)
{
	_cleanup_(certificates_done) struct certificates chain = {0}, roots = {0};
	size_t num = wire->n_cert_chain;
	if (num < 2)
		return why_set(why, ERR_NO_BUNDLE, "a certificate, and behind it the roots", FIX,
			"the answer of the Istio CA has %zu elements", num);
	for (size_t i = 0; i + 1 < num; i++)
		RETURN_IF_ERR(take(pb_span(wire->cert_chain[i]), &chain, why));
	RETURN_IF_ERR(take(pb_span(wire->cert_chain[num - 1]), &roots, why));
	if (roots.num == 0 || roots.num > BUNDLE_ROOTS_MAX)
		return why_set(why, ERR_NO_BUNDLE, "1 to 32 roots in PEM as the last element", FIX,
			"the last element of the Istio CA's answer has %zu", roots.num);
	RETURN_IF_ERR(read_chain(&chain, &roots, choice, out, why));
	out->bundles = bundle_set_new();
	workload_answer_add_roots(out, choice->own, roots.der, roots.num, choice);
	return ERR_NONE;
}

enum err istio_answer_parse(struct span message, struct private_key *key, const struct workload_choice *choice,
	struct workload_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct workload_answer answer = {0};
	ProtobufCMessage *base;
	CHECK(choice->wanted != NULL);
	if (message.len > ISTIO_ANSWER_MAX)
		return why_set(why, ERR_TOO_LARGE, "an answer of at most 256 KiB", FIX,
			"the Istio CA's answer has %zu bytes", message.len);
	RETURN_IF_ERR(pb_unpack(&handfast__istio__certificate_response__descriptor, message, &arena, &base, why));
	enum err err = read_answer((const Handfast__Istio__CertificateResponse *)base, choice, &answer, why);
	if (err != ERR_NONE) {
		workload_answer_done(&answer);
		return err;
	}
	answer.key = private_key_ref(key);
	*out = answer;
	return ERR_NONE;
}

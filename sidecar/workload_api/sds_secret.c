#include "sidecar/workload_api/sds_secret.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "certs/pem.h"
#include "proto/workload/sds.pb-c.h"
#include <stdio.h>

enum { PEM_MAX = 1024 * 1024, KEY_MAX = 16 * 1024 };

#define VALIDATOR      "envoy.tls.cert_validator.spiffe"
#define VALIDATOR_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

static enum err too_large(enum err err, const struct bundle *bundle, const char *what, const char *fix, struct why *why)
{
	char expected[96];
	if (err != ERR_LIMIT)
		return err;
	(void)snprintf(expected, sizeof(expected), "at most %d bytes of them in PEM", PEM_MAX);
	return why_set(
		why, ERR_LIMIT, expected, fix, "the %s of %.100s are larger", what, bundle_trust_domain(bundle)->name);
}

static enum err put_roots(const struct bundle *bundle, struct buf *out, struct why *why)
{
	enum err err = ERR_NONE;
	for (size_t i = 0; i < bundle_num_roots(bundle) && err == ERR_NONE; i++)
		err = pem_encode("CERTIFICATE", bundle_root(bundle, i), out);
	return too_large(err, bundle, "roots", "publish fewer roots for that trust domain", why);
}

/* --- the own certificate --- */

static enum err put_key(const struct private_key *key, struct buf *out)
{
	_cleanup_(buf_wipe) struct buf der = BUF_INIT(KEY_MAX);
	RETURN_IF_ERR(private_key_encode(key, &der));
	return pem_encode("PRIVATE KEY", buf_span(&der), out);
}

static enum err certificate_encode(
	const struct credentials *credentials, const Handfast__Sds__Secret *base, struct buf *out)
{
	Handfast__Sds__Secret secret = *base; /* it refers to variables of this function */
	_cleanup_(buf_done) struct buf chain = BUF_INIT(PEM_MAX);
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(KEY_MAX);
	const struct svid *svid = credentials_svid(credentials);
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		RETURN_IF_ERR(pem_encode("CERTIFICATE", svid_cert(svid, i), &chain));
	RETURN_IF_ERR(put_key(credentials_key(credentials), &key));
	Handfast__Sds__DataSource sources[2] = {HANDFAST__SDS__DATA_SOURCE__INIT, HANDFAST__SDS__DATA_SOURCE__INIT};
	sources[0].inline_bytes = pb_bytes(buf_span(&chain));
	sources[1].inline_bytes = pb_bytes(buf_span(&key));
	Handfast__Sds__TlsCertificate certificate = HANDFAST__SDS__TLS_CERTIFICATE__INIT;
	certificate.certificate_chain = &sources[0];
	certificate.private_key = &sources[1];
	secret.kind_case = HANDFAST__SDS__SECRET__KIND_TLS_CERTIFICATE;
	secret.tls_certificate = &certificate;
	return pb_pack(&secret.base, out);
}

/* --- what others are validated by --- */

static enum err put_list(const struct bundle_set *bundles, struct span domain, size_t i, struct buf *out)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(PEM_MAX);
	RETURN_IF_ERR(bundle_set_put_crl(bundles, domain, i, &der));
	return pem_encode("X509 CRL", buf_span(&der), out);
}

static enum err put_lists(
	const struct bundle_set *bundles, const struct bundle *bundle, struct buf *out, struct why *why)
{
	struct span domain = span_of_str(bundle_trust_domain(bundle)->name);
	enum err err = ERR_NONE;
	for (size_t i = 0; i < bundle_set_num_crls(bundles, domain) && err == ERR_NONE; i++)
		err = put_list(bundles, domain, i, out);
	return too_large(err, bundle, "revocation lists",
		"ask without check_leaf_crl in the node's metadata, or have certificates that have ended taken off the "
		"lists of identity.crl_files",
		why);
}

/* Roots: Envoy then takes any certificate below them, whatever its trust domain. With lists, a list of the issuer of
 * each leaf is demanded, but none of the authorities above it: a root whose key is offline signs none every hour. */
static enum err plain_encode(const struct bundle_set *bundles, const struct bundle *bundle, bool has_lists,
	const Handfast__Sds__Secret *base, struct buf *out, struct why *why)
{
	Handfast__Sds__Secret secret = *base; /* it refers to variables of this function */
	_cleanup_(buf_done) struct buf roots = BUF_INIT(PEM_MAX), lists = BUF_INIT(PEM_MAX);
	RETURN_IF_ERR(put_roots(bundle, &roots, why));
	if (has_lists)
		RETURN_IF_ERR(put_lists(bundles, bundle, &lists, why));
	Handfast__Sds__DataSource source = HANDFAST__SDS__DATA_SOURCE__INIT;
	source.inline_bytes = pb_bytes(buf_span(&roots));
	Handfast__Sds__CertificateValidationContext context = HANDFAST__SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
	context.trusted_ca = &source;
	Handfast__Sds__DataSource crl = HANDFAST__SDS__DATA_SOURCE__INIT;
	crl.inline_bytes = pb_bytes(buf_span(&lists));
	context.crl = buf_len(&lists) > 0 ? &crl : NULL;
	context.only_verify_leaf_cert_crl = context.crl != NULL;
	secret.kind_case = HANDFAST__SDS__SECRET__KIND_VALIDATION_CONTEXT;
	secret.validation_context = &context;
	return pb_pack(&secret.base, out);
}

struct domains { /* of the validator's configuration, with what they refer to */
	size_t num;
	struct domain {
		Handfast__Sds__SpiffeTrustDomain message;
		Handfast__Sds__DataSource source;
		struct buf pem;
	} * all;
	Handfast__Sds__SpiffeTrustDomain **pointers;
};

static void domains_done(struct domains *domains)
{
	for (size_t i = 0; i < domains->num; i++)
		buf_done(&domains->all[i].pem);
	mem_free(domains->all);
	mem_free(domains->pointers);
}

static enum err add_domain(struct domains *domains, const struct bundle *bundle, struct why *why)
{
	struct domain *domain = &domains->all[domains->num];
	handfast__sds__spiffe_trust_domain__init(&domain->message);
	handfast__sds__data_source__init(&domain->source);
	domain->pem = BUF_INIT(PEM_MAX);
	domains->pointers[domains->num++] = &domain->message;
	RETURN_IF_ERR(put_roots(bundle, &domain->pem, why));
	domain->source.inline_bytes = pb_bytes(buf_span(&domain->pem));
	domain->message.name = pb_bytes(span_of_str(bundle_trust_domain(bundle)->name));
	domain->message.trust_bundle = &domain->source;
	return ERR_NONE;
}

/* `only` NULL: all bundles. */
static enum err domains_make(
	const struct bundle_set *bundles, const struct bundle *only, struct domains *out, struct why *why)
{
	size_t num = only != NULL ? 1 : bundle_set_num(bundles);
	out->all = mem_calloc(num + 1, sizeof(*out->all));
	out->pointers = mem_calloc(num + 1, sizeof(*out->pointers));
	for (size_t i = 0; i < num; i++) {
		const struct bundle *bundle = only != NULL ? only : bundle_set_at(bundles, i);
		if (bundle_num_roots(bundle) > 0) /* Envoy refuses a trust domain without a root */
			RETURN_IF_ERR(add_domain(out, bundle, why));
	}
	return ERR_NONE;
}

/* Envoy's SPIFFE validator: a certificate is validated by the bundle of its own trust domain only (X509-SVID 5). */
static enum err validator_encode(const struct domains *domains, const Handfast__Sds__Secret *base, struct buf *out)
{
	Handfast__Sds__Secret secret = *base; /* it refers to variables of this function */
	_cleanup_(buf_done) struct buf packed = BUF_INIT(SDS_SECRET_MAX);
	Handfast__Sds__SpiffeCertValidatorConfig config = HANDFAST__SDS__SPIFFE_CERT_VALIDATOR_CONFIG__INIT;
	config.n_trust_domains = domains->num;
	config.trust_domains = domains->pointers;
	RETURN_IF_ERR(pb_pack(&config.base, &packed));
	Handfast__Sds__Any any = HANDFAST__SDS__ANY__INIT;
	any.type_url = pb_bytes(SPAN_LITERAL(VALIDATOR_TYPE));
	any.value = pb_bytes(buf_span(&packed));
	Handfast__Sds__TypedExtensionConfig extension = HANDFAST__SDS__TYPED_EXTENSION_CONFIG__INIT;
	extension.name = pb_bytes(SPAN_LITERAL(VALIDATOR));
	extension.typed_config = &any;
	Handfast__Sds__CertificateValidationContext context = HANDFAST__SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
	context.custom_validator_config = &extension;
	secret.kind_case = HANDFAST__SDS__SECRET__KIND_VALIDATION_CONTEXT;
	secret.validation_context = &context;
	return pb_pack(&secret.base, out);
}

static enum err validation_encode(const struct bundle_set *bundles, const struct bundle *only,
	const Handfast__Sds__Secret *secret, struct buf *out, struct why *why)
{
	_cleanup_(domains_done) struct domains domains = {0};
	RETURN_IF_ERR(domains_make(bundles, only, &domains, why));
	return validator_encode(&domains, secret, out);
}

/* --- names --- */

static const struct bundle *bundle_named(const struct credentials *credentials, const char *name)
{
	struct span domain = span_of_str(name), scheme = SPAN_LITERAL("spiffe://");
	if (strcmp(name, "ROOTCA") == 0)
		domain = spiffe_id_trust_domain(credentials_id(credentials));
	else if (span_starts_with(domain, scheme))
		domain = span_from(domain, scheme.len);
	return bundle_set_find(credentials_bundles(credentials), domain);
}

enum err sds_secret_encode(const struct credentials *credentials, const char *name, enum sds_validation validation,
	struct buf *out, struct why *why)
{
	Handfast__Sds__Secret secret = HANDFAST__SDS__SECRET__INIT;
	secret.name = pb_bytes(span_of_str(name));
	if (strcmp(name, "default") == 0 || span_eq(span_of_str(name), spiffe_id_text(credentials_id(credentials))))
		return certificate_encode(credentials, &secret, out);
	if (strcmp(name, "ALL") == 0)
		return validation_encode(credentials_bundles(credentials), NULL, &secret, out, why);
	const struct bundle *bundle = bundle_named(credentials, name);
	if (bundle == NULL)
		return why_set(why, ERR_NOT_FOUND, "default, ROOTCA, ALL, the own SPIFFE ID or a trusted trust domain",
			"correct the name of the secret", "there is no secret '%s'", name);
	const struct bundle_set *bundles = credentials_bundles(credentials);
	if (validation == SDS_BY_DOMAIN)
		return validation_encode(bundles, bundle, &secret, out, why);
	return plain_encode(bundles, bundle, validation == SDS_ROOTS_AND_LISTS, &secret, out, why);
}

#include "certs/describe.h"

#include "base/core/check.h"
#include "base/core/escape.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/digest.h"

const char *describe_hex(struct span bytes, char *out, size_t cap)
{
	static const char digits[] = "0123456789abcdef";
	CHECK(cap > 0);
	size_t num = bytes.len < (cap - 1) / 2 ? bytes.len : (cap - 1) / 2;
	for (size_t i = 0; i < num; i++) {
		out[2 * i] = digits[bytes.ptr[i] >> 4];
		out[2 * i + 1] = digits[bytes.ptr[i] & 15];
	}
	out[2 * num] = '\0';
	return out;
}

enum err cert_describe(struct span der, struct cert_description *out, struct why *why)
{
	_cleanup_(CRYPTO_BUFFER_freep) CRYPTO_BUFFER *buffer = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL;
	RETURN_IF_ERR(cert_buffer_new(der, "the certificate", &buffer, why));
	RETURN_IF_ERR(cert_parse(buffer, "the certificate", &cert, why));
	char subject[256];
	uint8_t hash[DIGEST_LEN];
	cert_subject(cert, subject, sizeof(subject));
	escape_ascii(span_of_str(subject), out->subject, sizeof(out->subject));
	describe_hex(cert_serial(cert), out->serial, sizeof(out->serial));
	digest_sha256(der, hash);
	describe_hex(span_of(hash, sizeof(hash)), out->sha256, sizeof(out->sha256));
	out->not_before_s = cert_not_before_s(cert);
	out->not_after_s = cert_not_after_s(cert);
	return ERR_NONE;
}

#include "sidecar/svid/svid_files.h"

#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/pb/unpack.h"
#include "certs/der.h"
#include "certs/pem.h"
#include "proto/workload/spiffe.pb-c.h"

enum { PEM_MAX = 2 * 1024 * 1024, KEY_MODE = 0600, CERTIFICATE_MODE = 0644 };

struct texts { /* zeroed is valid to texts_done() */
	struct buf chain, key, bundle;
};

static void texts_done(struct texts *texts)
{
	buf_done(&texts->chain);
	buf_wipe(&texts->key);
	buf_done(&texts->bundle);
}

static enum err malformed(const char *got, struct why *why)
{
	return why_set(why, ERR_MALFORMED, "an X.509-SVID with its key and its bundle",
		"compare the releases of this program and of the sidecar", "the answer of the Workload API has %s",
		got);
}

static enum err put_certificates(ProtobufCBinaryData der, struct buf *out, const char *what, struct why *why)
{
	struct span rest = pb_span(der), certificate;
	if (rest.len == 0)
		return malformed(what, why);
	while (rest.len > 0) {
		if (!der_take_first(&rest, &certificate))
			return malformed(what, why);
		if (pem_encode("CERTIFICATE", certificate, out) != ERR_NONE)
			return malformed("too many certificates", why);
	}
	return ERR_NONE;
}

static enum err texts_make(const Handfast__Workload__X509Svid *svid, struct texts *out, struct why *why)
{
	out->chain = BUF_INIT(PEM_MAX);
	out->key = BUF_INIT(PEM_MAX);
	out->bundle = BUF_INIT(PEM_MAX);
	RETURN_IF_ERR(put_certificates(svid->x509_svid, &out->chain, "no certificate", why));
	RETURN_IF_ERR(put_certificates(svid->bundle, &out->bundle, "no bundle", why));
	if (svid->x509_svid_key.len == 0 ||
		pem_encode("PRIVATE KEY", pb_span(svid->x509_svid_key), &out->key) != ERR_NONE)
		return malformed("no key", why);
	return ERR_NONE;
}

static enum err write_file(const char *folder, const char *name, const struct buf *text, unsigned mode, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, name);
	return fd_write_file(path, buf_span(text), mode, why);
}

static enum err read_message(struct span message, struct texts *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *base;
	RETURN_IF_ERR(pb_unpack(&handfast__workload__x509_svid_response__descriptor, message, &arena, &base, why));
	const Handfast__Workload__X509SvidResponse *answer = (const Handfast__Workload__X509SvidResponse *)base;
	if (answer->n_svids == 0)
		return malformed("no SVID", why);
	return texts_make(answer->svids[0], out, why);
}

enum err svid_files_digest(struct span message, uint8_t out[DIGEST_LEN], struct why *why)
{
	_cleanup_(texts_done) struct texts texts = {0};
	uint8_t digests[3][DIGEST_LEN];
	RETURN_IF_ERR(read_message(message, &texts, why));
	digest_sha256(buf_span(&texts.chain), digests[0]);
	digest_sha256(buf_span(&texts.key), digests[1]);
	digest_sha256(buf_span(&texts.bundle), digests[2]);
	digest_sha256(span_of(digests, sizeof(digests)), out);
	return ERR_NONE;
}

enum err svid_files_write(const char *folder, struct span message, struct why *why)
{
	_cleanup_(texts_done) struct texts texts = {0};
	RETURN_IF_ERR(read_message(message, &texts, why));
	RETURN_IF_ERR(write_file(folder, SVID_KEY_FILE, &texts.key, KEY_MODE, why));
	RETURN_IF_ERR(write_file(folder, SVID_CERT_FILE, &texts.chain, CERTIFICATE_MODE, why));
	return write_file(folder, SVID_BUNDLE_FILE, &texts.bundle, CERTIFICATE_MODE, why);
}

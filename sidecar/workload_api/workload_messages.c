#include "sidecar/workload_api/workload_messages.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/workload/spiffe.pb-c.h"
#include "sidecar/workload_api/bundle_entries.h"

enum { KEY_MAX = 64 * 1024, CHAIN_MAX = 128 * 1024 };

/* Without the retired roots: nothing new is accepted from them. */
static enum err put_roots(const struct bundle *bundle, struct buf *out)
{
	for (size_t i = 0; i < bundle_num_roots(bundle); i++)
		RETURN_IF_ERR(buf_append(out, bundle_root(bundle, i)));
	return ERR_NONE;
}

static enum err put_value(_unused_ const struct bundle_set *bundles, const struct bundle *bundle, struct buf *out)
{
	return put_roots(bundle, out);
}

/* The lists of all trust domains, each one DER. */
struct lists {
	size_t num;
	struct buf *ders;
	ProtobufCBinaryData *all;
};

static void lists_done(struct lists *lists)
{
	for (size_t i = 0; i < lists->num; i++)
		buf_done(&lists->ders[i]);
	mem_free(lists->ders);
	mem_free(lists->all);
}

static enum err lists_add(const struct bundle_set *bundles, const struct bundle *bundle, struct lists *out)
{
	struct span domain = span_of_str(bundle_trust_domain(bundle)->name);
	size_t num = bundle_set_num_crls(bundles, domain);
	if (num == 0)
		return ERR_NONE;
	out->ders = mem_realloc(out->ders, (out->num + num) * sizeof(*out->ders));
	out->all = mem_realloc(out->all, (out->num + num) * sizeof(*out->all));
	for (size_t i = 0; i < num; i++) {
		struct buf *der = &out->ders[out->num];
		*der = BUF_INIT(BUNDLE_ENTRY_MAX);
		out->num++;
		RETURN_IF_ERR(bundle_set_put_crl(bundles, domain, i, der));
		out->all[out->num - 1] = pb_bytes(buf_span(der));
	}
	return ERR_NONE;
}

static enum err lists_make(const struct bundle_set *bundles, struct lists *out)
{
	for (size_t i = 0; i < bundle_set_num(bundles); i++)
		RETURN_IF_ERR(lists_add(bundles, bundle_set_at(bundles, i), out));
	return ERR_NONE;
}

static enum err put_chain(const struct svid *svid, struct buf *out)
{
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		RETURN_IF_ERR(buf_append(out, svid_cert(svid, i)));
	return ERR_NONE;
}

enum err workload_x509_svid_encode(const struct credentials *credentials, struct buf *out)
{
	_cleanup_(bundle_entries_done) struct bundle_entries federated = {0};
	_cleanup_(lists_done) struct lists lists = {0};
	_cleanup_(buf_done) struct buf chain = BUF_INIT(CHAIN_MAX), roots = BUF_INIT(BUNDLE_ENTRY_MAX);
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(KEY_MAX);
	const struct spiffe_id *id = credentials_id(credentials);
	const struct bundle_set *bundles = credentials_bundles(credentials);
	const struct bundle *own = bundle_set_find(bundles, spiffe_id_trust_domain(id));
	CHECK(own != NULL); /* credentials_new() verified the chain against it */
	RETURN_IF_ERR(put_chain(credentials_svid(credentials), &chain));
	RETURN_IF_ERR(put_roots(own, &roots));
	RETURN_IF_ERR(private_key_encode(credentials_key(credentials), &key));
	RETURN_IF_ERR(bundle_entries_make(bundles, own, put_value, &federated));
	Handfast__Workload__X509Svid svid = HANDFAST__WORKLOAD__X509_SVID__INIT, *svids[] = {&svid};
	svid.spiffe_id = pb_bytes(spiffe_id_text(id));
	svid.x509_svid = pb_bytes(buf_span(&chain));
	svid.x509_svid_key = pb_bytes(buf_span(&key));
	svid.bundle = pb_bytes(buf_span(&roots));
	Handfast__Workload__X509SvidResponse message = HANDFAST__WORKLOAD__X509_SVID_RESPONSE__INIT;
	RETURN_IF_ERR(lists_make(bundles, &lists));
	message.n_crl = lists.num;
	message.crl = lists.all;
	message.n_svids = 1;
	message.svids = svids;
	message.n_federated_bundles = federated.num;
	message.federated_bundles = federated.pointers;
	return pb_pack(&message.base, out);
}

enum err workload_x509_bundles_encode(const struct credentials *credentials, struct buf *out)
{
	_cleanup_(bundle_entries_done) struct bundle_entries all = {0};
	_cleanup_(lists_done) struct lists lists = {0};
	RETURN_IF_ERR(bundle_entries_make(credentials_bundles(credentials), NULL, put_value, &all));
	RETURN_IF_ERR(lists_make(credentials_bundles(credentials), &lists));
	Handfast__Workload__X509BundlesResponse message = HANDFAST__WORKLOAD__X509_BUNDLES_RESPONSE__INIT;
	message.n_crl = lists.num;
	message.crl = lists.all;
	message.n_bundles = all.num;
	message.bundles = all.pointers;
	return pb_pack(&message.base, out);
}

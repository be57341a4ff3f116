#include "control/serve/grant.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "certs/svid.h"
#include "control/serve/admission.h"

_Static_assert(ROTATION_TAG_LEN == SVID_HOLDER_ROOT_LEN, "the same tag");

#define REUSE_SLOTS 65536 /* leaf keys that are remembered; a new one replaces an older one */

struct leaf_key {
	uint8_t hash[DIGEST_LEN];
	uint8_t owner[DIGEST_LEN]; /* the attestation key of its SVID holder */
};

struct granter {
	struct granter_options options;
	struct leaf_key *leaf_keys;
	struct admission admission;
	unsigned num_requests; /* also abandoned ones, until the check of their attestation data or the store answers */
	bool is_freed;         /* the last request frees the memory */
	uint64_t num_unrecorded;
	int64_t unrecorded_until_s;
};

struct grant { /* one request until its SVID is issued */
	struct granter *granter;
	struct issuer_request *at_signer; /* NULL: not there */
	struct svid_holder svid_holder;
	struct buf chain[ISSUER_CHAIN_MAX];
	size_t num_chain;
	bool is_renewal;
	bool proves_claims;
	bool is_recorded;       /* there is a record of its SVID holder */
	grant_done_fn *on_done; /* NULL: abandoned */
	void *arg;
};

struct granter *granter_new(const struct granter_options *options)
{
	struct granter *granter = mem_new(struct granter);
	granter->options = *options;
	admission_init(&granter->admission);
	granter->leaf_keys = mem_calloc(REUSE_SLOTS, sizeof *granter->leaf_keys);
	return granter;
}

static void free_if_unused(struct granter *granter)
{
	if (!granter->is_freed || granter->num_requests > 0)
		return;
	CHECK(granter->admission.num_under_way == 0);
	mem_free(granter->leaf_keys);
	mem_free(granter);
}

void granter_free(struct granter *granter)
{
	CHECK(!granter->is_freed);
	granter->is_freed = true;
	free_if_unused(granter);
}

void granter_set_leaf_ttl(struct granter *granter, int64_t leaf_ttl_s)
{
	granter->options.leaf_ttl_s = leaf_ttl_s;
}

static uint64_t now_ms(const struct granter *granter)
{
	return loop_now_ms(granter->options.loop);
}

bool granter_has_room(const struct granter *granter, unsigned num_coming, bool is_patient)
{
	return admission_has_room(&granter->admission, num_coming, is_patient);
}

bool granter_is_full(const struct granter *granter)
{
	return admission_is_full(&granter->admission);
}

uint32_t granter_retry_ms(struct granter *granter)
{
	return admission_retry_ms(&granter->admission, now_ms(granter), random_u32());
}

static void request_free(struct grant *request)
{
	struct granter *granter = request->granter;
	admission_ended(&granter->admission, now_ms(granter));
	for (size_t i = 0; i < ISSUER_CHAIN_MAX; i++)
		buf_done(&request->chain[i]);
	svid_holder_done(&request->svid_holder);
	mem_free(request);
	CHECK(granter->num_requests > 0);
	granter->num_requests--;
	free_if_unused(granter);
}

static void finish(struct grant *request, enum err err, const struct why *why)
{
	struct granted granted = {.svid_holder = &request->svid_holder, .num_chain = request->num_chain};
	for (size_t i = 0; i < request->num_chain; i++)
		granted.chain[i] = buf_span(&request->chain[i]);
	if (request->on_done != NULL)
		request->on_done(request->arg, err, err == ERR_NONE ? &granted : NULL, why);
	request_free(request);
}

void grant_abandon(struct grant *request)
{
	CHECK(request->on_done != NULL); /* abandoned once */
	request->on_done = NULL;
	if (request->at_signer == NULL)
		return; /* the check or the store is under way: its callback ends the request */
	issuer_abandon(request->at_signer);
	request_free(request);
}

static void note_unrecorded(struct granter *granter, int64_t not_after_s)
{
	granter->num_unrecorded++;
	if (not_after_s > granter->unrecorded_until_s)
		granter->unrecorded_until_s = not_after_s;
}

uint64_t granter_num_unrecorded(const struct granter *granter, int64_t *out_until_s)
{
	*out_until_s = granter->unrecorded_until_s;
	return granter->num_unrecorded;
}

static void on_remembered(void *arg, enum err err, uint64_t version);

/* Before the SVID is sent, so that no SVID holder is missing when roots are rotated. A pod has none: whether it exists
 * is known without one. */
static void remember(struct grant *request)
{
	enum err err = svid_holders_put(request->granter->options.store, &request->svid_holder, on_remembered, request);
	if (err != ERR_NONE)
		finish(request, err, NULL);
}

/* A conflict: the same SVID holder has another request under way; both are valid, the last one is recorded. */
static void on_remembered(void *arg, enum err err, uint64_t version)
{
	struct grant *request = arg;
	struct svid_holder known = {0};
	struct why why = {0};
	(void)version;
	if (err == ERR_CONFLICT &&
		svid_holders_find(request->granter->options.store, request->svid_holder.key_hash, &known) == ERR_NONE) {
		request->svid_holder.version = known.version;
		svid_holder_done(&known);
		remember(request);
		return;
	}
	/* A full disk must not end every identity within an hour. The SVID holder is on record already; only the expiry
	 * of its SVID is lost, and a rotation waits for the latest unrecorded one. */
	if (err == ERR_IO && request->svid_holder.version != 0) {
		note_unrecorded(request->granter, request->svid_holder.not_after_s);
		err = ERR_NONE;
	}
	finish(request, store_explain(request->granter->options.store, err, &why), &why);
}

static enum err keep_chain(struct grant *request, const struct issued *issued, struct why *why)
{
	CHECK(issued->num_chain <= ISSUER_CHAIN_MAX && request->num_chain == 0);
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	RETURN_IF_ERR(svid_parse(issued->chain, issued->num_chain, &svid, why));
	struct span serial = svid_serial(svid);
	if (serial.len != 16)
		return why_set(why, ERR_MALFORMED, "a serial of 16 bytes", "report this as a defect",
			"the serial has %zu bytes", serial.len);
	memcpy(request->svid_holder.serial, serial.ptr, serial.len);
	request->svid_holder.serial_len = (uint8_t)serial.len;
	request->svid_holder.not_after_s = svid_not_after_s(svid);
	struct rotation *rotation = request->granter->options.rotation;
	if (issued->num_chain < 2 ||
		!rotation_find_root(rotation, issued->chain[issued->num_chain - 1], request->svid_holder.root_tag))
		return why_set(why, ERR_MALFORMED, "an intermediate below a root of this mesh",
			"report this as a defect", "the signer's intermediate is below another root");
	if (!rotation_trusts(rotation, request->svid_holder.root_tag))
		return why_set(why, ERR_UNAVAILABLE, "an intermediate below a root that is trusted",
			"`handfast ca csr` and `handfast ca import` on this control plane",
			"this control plane has no intermediate below the mesh's root");
	for (; request->num_chain < issued->num_chain; request->num_chain++) {
		struct buf *der = &request->chain[request->num_chain];
		buf_init(der, 8192);
		RETURN_IF_ERR(buf_append(der, issued->chain[request->num_chain]));
	}
	return ERR_NONE;
}

static void on_issued(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct grant *request = arg;
	struct why own = {0};
	request->at_signer = NULL;
	if (err != ERR_NONE) {
		finish(request, err, why);
		return;
	}
	err = keep_chain(request, issued, &own);
	if (err == ERR_NONE && request->is_recorded)
		remember(request);
	else
		finish(request, err, &own);
}

/* W18: one key, one SVID holder, one certificate. */
static enum err check_reuse(struct granter *granter, struct grant *request, struct span spki, struct why *why)
{
	uint8_t hash[DIGEST_LEN];
	digest_sha256(spki, hash);
	struct leaf_key *slot = &granter->leaf_keys[(hash[0] | hash[1] << 8) % REUSE_SLOTS];
	bool is_in_slot = memcmp(slot->hash, hash, DIGEST_LEN) == 0;
	bool is_last = memcmp(hash, request->svid_holder.leaf_key_hash, DIGEST_LEN) == 0;
	if (request->is_renewal && (is_last || (is_in_slot && !request->is_recorded)))
		return why_set(why, ERR_DENIED, "a new key at each renewal", "update the sidecar",
			"the renewal has the key of the last certificate");
	if (is_in_slot && memcmp(slot->owner, request->svid_holder.key_hash, DIGEST_LEN) != 0)
		return why_set(why, ERR_DENIED, "a key that no other sidecar uses", "make a new key",
			"another sidecar uses this key");
	memcpy(slot->hash, hash, DIGEST_LEN);
	memcpy(slot->owner, request->svid_holder.key_hash, DIGEST_LEN);
	memcpy(request->svid_holder.leaf_key_hash, hash, DIGEST_LEN);
	return ERR_NONE;
}

static void copy_svid_holder(const struct svid_holder *from, struct svid_holder *out)
{
	*out = *from;
	out->id = (struct spiffe_id){0};
	spiffe_id_copy(&from->id, &out->id);
}

/* An entry can shorten the lifetime, never lengthen it. */
static int64_t ttl_of(const struct granter *granter, const struct attested *attested)
{
	int64_t most_s = granter->options.leaf_ttl_s;
	return attested->ttl_s > 0 && attested->ttl_s < most_s ? attested->ttl_s : most_s;
}

static void on_attested(void *arg, enum err err, const struct attested *attested, const struct why *why)
{
	struct grant *request = arg;
	struct granter *granter = request->granter;
	struct why own = {0};
	if (err != ERR_NONE || request->on_done == NULL) {
		finish(request, err, why);
		return;
	}
	copy_svid_holder(attested->svid_holder, &request->svid_holder);
	request->svid_holder.proves_claims = request->proves_claims;
	request->is_recorded = attested->is_recorded;
	err = check_reuse(granter, request, attested->spki, &own);
	if (err != ERR_NONE)
		finish(request, err, &own);
	else
		request->at_signer = issuer_issue(granter->options.issuer, &request->svid_holder.id, attested->spki,
			ttl_of(granter, attested), on_issued, request);
}

struct grant *grant_start(
	struct granter *granter, const struct attest_request *attest, grant_done_fn *on_done, void *arg)
{
	struct grant *request = mem_new(struct grant);
	CHECK(on_done != NULL && !granter->is_freed);
	request->granter = granter;
	request->is_renewal = attest->own != NULL;
	request->proves_claims = attest->proves_claims;
	request->on_done = on_done;
	request->arg = arg;
	granter->num_requests++;
	admission_began(&granter->admission, now_ms(granter));
	attest_check(granter->options.attest, attest, on_attested, request);
	return request;
}

#include "control/attest/attest_private.h"
#include "control/attest/unix_facts.h"

/* A key that a join token has enrolled keeps its identity: that token's record outlives the entries. */
static enum err take_record(struct check *check, const struct workload_entry *entry)
{
	struct svid_holder *svid_holder = &check->svid_holder;
	enum err err = svid_holders_find(check->attest->store, check->key_hash, svid_holder);
	if (err == ERR_NOT_FOUND) {
		memcpy(svid_holder->key_hash, check->key_hash, DIGEST_LEN);
		svid_holder->since_s = attest_now_s(check->attest);
		err = ERR_NONE;
	}
	RETURN_IF_ERR(err);
	bool is_of_token = svid_holder->version != 0 && svid_holder->by == SVID_HOLDER_BY_TOKEN;
	if (is_of_token && !spiffe_id_eq(&svid_holder->id, &entry->id))
		return why_set(&check->detail, ERR_DENIED, "a fresh attestation key for another identity",
			"empty the sidecar's state folder", "the key belongs to %s", svid_holder->id.text);
	spiffe_id_done(&svid_holder->id);
	spiffe_id_copy(&entry->id, &svid_holder->id);
	return ERR_NONE;
}

enum err attest_by_facts(
	struct check *check, const struct selector_set *facts, enum svid_holder_by by, const struct spiffe_id *own)
{
	const struct workload_entry *entry = NULL;
	RETURN_IF_ERR(attest_choose(check->attest, facts, &entry, &check->detail));
	RETURN_IF_ERR(take_record(check, entry));
	check->svid_holder.by = by;
	check->ttl_s = entry->ttl_s;
	RETURN_IF_ERR(attest_check_own(check, own, "entry"));
	return attest_check_not_banned(check);
}

/* The process at the other end of the Unix socket, as it is now: a renewal reads it again. */
enum err attest_by_unix(struct check *check, const struct attest_request *request)
{
	_cleanup_(selector_set_done) struct selector_set facts = {0};
	RETURN_IF_ERR(unix_facts_read(request->unix_fd, &facts, &check->detail));
	return attest_by_facts(check, &facts, SVID_HOLDER_BY_UNIX, request->own);
}

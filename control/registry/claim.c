#include "control/registry/claim.h"

#include "base/core/mem.h"
#include "control/store/record.h"
#include <stdio.h>

void claim_free(struct claim *claim)
{
	spiffe_id_done(&claim->id);
	mem_free(claim);
}

void claim_key(const struct ip_addr *ip, char out[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)])
{
	char text[ADDR_TEXT_MAX];
	snprintf(out, ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX), "%s%s", CLAIM_KEY_PREFIX, ip_addr_format(ip, text));
}

enum err claim_encode(const struct claim *claim, struct buf *out)
{
	RETURN_IF_ERR(record_put(out, "id", spiffe_id_text(&claim->id)));
	RETURN_IF_ERR(record_put_hex(out, "key", span_of(claim->key_hash, DIGEST_LEN)));
	RETURN_IF_ERR(record_put_number(out, "away_ms", (int64_t)claim->away_ms));
	if (claim->replica[0] != '\0')
		RETURN_IF_ERR(record_put(out, "replica", span_of_str(claim->replica)));
	if (claim->is_draining)
		RETURN_IF_ERR(record_put_number(out, "draining", 1));
	if (claim->zone != 0)
		RETURN_IF_ERR(record_put_number(out, "zone", claim->zone));
	return record_put_number(out, "ended", claim->has_ended ? 1 : 0);
}

enum err claim_parse(const char *key, struct span bytes, struct claim **out, struct why *why)
{
	struct claim *claim = mem_new(struct claim);
	struct span id = {0}, replica;
	bool is_good = strncmp(key, CLAIM_KEY_PREFIX, strlen(CLAIM_KEY_PREFIX)) == 0 &&
		       ip_addr_parse(span_of_str(key + strlen(CLAIM_KEY_PREFIX)), &claim->ip) == ERR_NONE &&
		       record_get(bytes, "id", 0, &id) && spiffe_id_parse(id, &claim->id, why) == ERR_NONE;
	if (!is_good) {
		claim_free(claim);
		return why_set(why, ERR_STATE_DAMAGED, "a claim with an address and a SPIFFE ID",
			"restore the store from a copy, or remove this record with SQLite's tool",
			"the record %s is malformed", key);
	}
	if (!record_hex(bytes, "key", claim->key_hash, DIGEST_LEN))
		memset(claim->key_hash, 0, DIGEST_LEN);
	claim->away_ms = (uint64_t)record_number(bytes, "away_ms", 0);
	claim->has_ended = record_number(bytes, "ended", 0) != 0;
	if (record_get(bytes, "replica", 0, &replica) && replica.len == CLAIM_REPLICA_LEN - 1)
		memcpy(claim->replica, replica.ptr, replica.len);
	claim->is_draining = record_number(bytes, "draining", 0) != 0;
	claim->zone = (uint32_t)record_number(bytes, "zone", 0);
	*out = claim;
	return ERR_NONE;
}

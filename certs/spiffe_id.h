/* SPIFFE IDs and trust domains, exactly the grammar of SPIFFE-ID 2: no case folding, no percent-encoding, no
 * port, no query. Pure. Comparisons are byte-exact. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define SPIFFE_ID_MAX    2048 /* bytes of the whole URI, SPIFFE-ID 2.3 */
#define TRUST_DOMAIN_MAX 255  /* bytes */

struct trust_domain {
	char name[TRUST_DOMAIN_MAX + 1]; /* NUL-terminated, "" when zeroed */
};

struct spiffe_id {  /* owns its text; zeroed is unset and valid to spiffe_id_done() */
	char *text; /* "spiffe://td/path", NUL-terminated */
	uint16_t text_len;
	uint16_t path_at; /* offset of the path ("/..."), == text_len when there is none */
};

enum err trust_domain_parse(struct span text, struct trust_domain *out, struct why *why) _must_use_; /* the bare name */

enum err spiffe_id_parse(struct span text, struct spiffe_id *out, struct why *why) _must_use_;
void spiffe_id_done(struct spiffe_id *id);
void spiffe_id_copy(const struct spiffe_id *from, struct spiffe_id *out);
bool spiffe_id_eq(const struct spiffe_id *a, const struct spiffe_id *b);
bool spiffe_id_is_set(const struct spiffe_id *id);
struct span spiffe_id_text(const struct spiffe_id *id);
struct span spiffe_id_path(const struct spiffe_id *id);         /* "" or "/a/b" */
struct span spiffe_id_trust_domain(const struct spiffe_id *id); /* the bare name */
bool spiffe_id_in_trust_domain(const struct spiffe_id *id, const struct trust_domain *domain);
/* Whether the path is /handfast or below it: reserved for the control plane, never issued to workloads. */
bool spiffe_id_is_reserved(const struct spiffe_id *id);

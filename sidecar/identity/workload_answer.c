#include "sidecar/identity/workload_answer.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "certs/der.h"
#include "certs/describe.h"
#include "proto/workload/spiffe.pb-c.h"

#define FIX "inspect the log of the Workload API's server, such as the SPIRE agent's"

enum { ID_SHOWN = 200 };

typedef Handfast__Workload__X509Svid wire_svid;

void workload_answer_done(struct workload_answer *answer)
{
	svid_unref(answer->svid);
	private_key_unref(answer->key);
	bundle_set_unref(answer->bundles);
	*answer = (struct workload_answer){0};
}

static int shown(const wire_svid *svid)
{
	return svid->spiffe_id.len > ID_SHOWN ? ID_SHOWN : (int)svid->spiffe_id.len;
}

static const wire_svid *find(const Handfast__Workload__X509SvidResponse *answer, struct span id)
{
	for (size_t i = 0; i < answer->n_svids; i++)
		if (span_eq(pb_span(answer->svids[i]->spiffe_id), id))
			return answer->svids[i];
	return NULL;
}

/* The order of an answer is not fixed: without `wanted` the identity in use goes first, so that another entry at the
 * server does not change it. */
static enum err choose(const Handfast__Workload__X509SvidResponse *answer, const struct workload_choice *choice,
	const wire_svid **out, struct why *why)
{
	if (answer->n_svids == 0 || answer->n_svids > WORKLOAD_SVIDS_MAX)
		return why_set(why, ERR_MALFORMED, "1 to 64 SVIDs", FIX, "the answer of the Workload API has %zu",
			answer->n_svids);
	const wire_svid *found = answer->svids[0];
	CHECK(found != NULL);
	if (choice->wanted != NULL)
		found = find(answer, span_of_str(choice->wanted));
	else if (choice->present != NULL && find(answer, spiffe_id_text(choice->present)) != NULL)
		found = find(answer, spiffe_id_text(choice->present));
	if (found == NULL)
		return why_set(why, ERR_NOT_FOUND, "an SVID for identity.spiffe_id",
			"register that identity for this sidecar's process, or correct identity.spiffe_id",
			"the Workload API has %zu SVIDs, the first for %.*s", answer->n_svids, shown(answer->svids[0]),
			(const char *)answer->svids[0]->spiffe_id.data);
	*out = found;
	return ERR_NONE;
}

static enum err read_chain(const wire_svid *wire, struct svid **out, struct why *why)
{
	struct span rest = pb_span(wire->x509_svid), chain[SVID_CHAIN_MAX];
	size_t num = 0;
	while (rest.len > 0) {
		if (num == SVID_CHAIN_MAX)
			return why_set(why, ERR_TOO_LARGE, "at most 4 certificates", FIX,
				"the SVID of the Workload API has more");
		if (!der_take_first(&rest, &chain[num++]))
			return why_set(why, ERR_MALFORMED, "certificates in DER, one after the other", FIX,
				"the SVID of the Workload API is something else");
	}
	return svid_parse(chain, num, out, why);
}

static enum err read_svid(
	const wire_svid *wire, const struct workload_choice *choice, struct workload_answer *out, struct why *why)
{
	RETURN_IF_ERR(read_chain(wire, &out->svid, why));
	if (!span_eq(pb_span(wire->spiffe_id), spiffe_id_text(svid_id(out->svid))))
		return why_set(why, ERR_MALFORMED, "an SVID for the SPIFFE ID that it is named by", FIX,
			"the SVID named %.*s is for %.200s", shown(wire), (const char *)wire->spiffe_id.data,
			svid_id(out->svid)->text);
	if (!spiffe_id_in_trust_domain(svid_id(out->svid), choice->own))
		return why_set(why, ERR_WRONG_PEER, "an identity of this sidecar's trust domain",
			"set trust_domain in the settings of the sidecar and of the control plane to the one of the "
			"Workload API",
			"the Workload API has an SVID for %.200s, and trust_domain is %s", svid_id(out->svid)->text,
			choice->own->name);
	if (private_key_parse(pb_span(wire->x509_svid_key), &out->key, NULL) == ERR_NONE)
		return ERR_NONE;
	return why_set(why, ERR_WEAK_KEY, "a P-256 key in PKCS#8",
		"let the Workload API's server make keys on that curve, such as workload_x509_svid_key_type = "
		"\"ec-p256\" of a SPIRE agent",
		"the key of the SVID is another one, or does not parse");
}

static void skip(struct workload_answer *answer, const struct why *why)
{
	if (answer->num_skipped++ == 0)
		answer->skipped = *why;
}

static bool has_ended(struct span root, int64_t now_s)
{
	struct cert_description description;
	return cert_describe(root, &description, NULL) == ERR_NONE && description.not_after_s <= now_s;
}

static size_t add_retired(
	const struct trust_domain *domain, const struct workload_choice *choice, struct span *roots, size_t num)
{
	const struct bundle *before =
		choice->bundles == NULL ? NULL : bundle_set_find(choice->bundles, span_of_str(domain->name));
	size_t num_now = num;
	for (size_t i = 0; before != NULL && i < bundle_num_all(before) && num < BUNDLE_ROOTS_MAX; i++) {
		struct span root = bundle_root(before, i);
		bool is_there = false;
		for (size_t now = 0; now < num_now; now++)
			is_there = is_there || span_eq(roots[now], root);
		if (!is_there && has_ended(root, choice->now_s))
			roots[num++] = root;
	}
	return num - num_now;
}

void workload_answer_add_roots(struct workload_answer *answer, const struct trust_domain *domain,
	const struct span *roots, size_t num, const struct workload_choice *choice)
{
	struct span usable[BUNDLE_ROOTS_MAX];
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct why why = {0};
	size_t num_usable = 0;
	CHECK(num <= BUNDLE_ROOTS_MAX);
	for (size_t i = 0; i < num; i++) {
		_cleanup_(bundle_unrefp) struct bundle *alone = NULL;
		if (bundle_new(domain, &roots[i], 1, &alone, &why) == ERR_NONE)
			usable[num_usable++] = roots[i];
		else
			skip(answer, &why);
	}
	size_t num_retired = add_retired(domain, choice, usable, num_usable);
	if (bundle_new_with_retired(domain, usable, num_usable + num_retired, num_retired, &bundle, &why) != ERR_NONE ||
		bundle_set_add(answer->bundles, bundle, &why) != ERR_NONE)
		skip(answer, &why);
}

static void add_bundle(const struct trust_domain *domain, ProtobufCBinaryData der, const struct workload_choice *choice,
	struct workload_answer *out)
{
	struct span rest = pb_span(der), roots[BUNDLE_ROOTS_MAX];
	struct why why = {0};
	size_t num = 0;
	while (rest.len > 0) {
		if (num == BUNDLE_ROOTS_MAX || !der_take_first(&rest, &roots[num])) {
			why_set(&why, ERR_MALFORMED, "at most 32 certificates in DER, one after the other", FIX,
				"the rest of the bundle of %s is something else", domain->name);
			skip(out, &why);
			break;
		}
		num++;
	}
	workload_answer_add_roots(out, domain, roots, num, choice);
}

/* A bundle that is not usable hurts its own trust domain only. */
static void add_federated(
	const Handfast__Workload__BundleEntry *entry, const struct workload_choice *choice, struct workload_answer *out)
{
	static const struct span scheme = SPAN_LITERAL("spiffe://");
	struct span name = pb_span(entry->key);
	struct trust_domain domain;
	struct why why = {0};
	if (span_starts_with(name, scheme))
		name = span_of(name.ptr + scheme.len, name.len - scheme.len);
	if (trust_domain_parse(name, &domain, &why) == ERR_NONE)
		add_bundle(&domain, entry->value, choice, out);
	else
		skip(out, &why);
}

/* The answer does not name the trust domain of a list: each is tried for the own trust domain, where it concerns only
 * the certificates of the authority that signed it. */
static void add_lists(
	const Handfast__Workload__X509SvidResponse *wire, const struct trust_domain *own, struct workload_answer *out)
{
	for (size_t i = 0; i < wire->n_crl; i++) {
		struct why why = {0};
		if (bundle_set_add_crl(out->bundles, own, pb_span(wire->crl[i]), &why) != ERR_NONE)
			bundle_set_skip_crl(out->bundles, &why);
	}
}

static enum err read_answer(const Handfast__Workload__X509SvidResponse *wire, const struct workload_choice *choice,
	struct workload_answer *out, struct why *why)
{
	const wire_svid *chosen = NULL;
	RETURN_IF_ERR(choose(wire, choice, &chosen, why));
	CHECK(chosen != NULL);
	RETURN_IF_ERR(read_svid(chosen, choice, out, why));
	out->bundles = bundle_set_new();
	add_bundle(choice->own, chosen->bundle, choice, out);
	add_lists(wire, choice->own, out);
	for (size_t i = 0; i < wire->n_federated_bundles; i++)
		add_federated(wire->federated_bundles[i], choice, out);
	return ERR_NONE;
}

enum err workload_answer_parse(
	struct span message, const struct workload_choice *choice, struct workload_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct workload_answer answer = {0};
	ProtobufCMessage *base;
	if (message.len > WORKLOAD_ANSWER_MAX)
		return why_set(why, ERR_TOO_LARGE, "an answer of at most 4 MiB", FIX,
			"the Workload API's answer has %zu bytes", message.len);
	RETURN_IF_ERR(pb_unpack(&handfast__workload__x509_svid_response__descriptor, message, &arena, &base, why));
	const Handfast__Workload__X509SvidResponse *wire = (const Handfast__Workload__X509SvidResponse *)base;
	enum err err = read_answer(wire, choice, &answer, why);
	for (size_t i = 0; i < wire->n_svids; i++)
		mem_wipe(wire->svids[i]->x509_svid_key.data, wire->svids[i]->x509_svid_key.len);
	if (err != ERR_NONE)
		workload_answer_done(&answer);
	else
		*out = answer;
	return err;
}

#include "base/core/check.h"
#include "certs/describe.h"
#include "sidecar/report/pages.h"
#include <inttypes.h>

static json_t *certificate(struct span der)
{
	struct cert_description cert;
	if (cert_describe(der, &cert, NULL) != ERR_NONE)
		return json_string("unreadable"); /* not expected: it was parsed on arrival */
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "subject", page_text(cert.subject), "serial", cert.serial,
		"sha256", cert.sha256, "not_before", page_time_s(cert.not_before_s), "not_after",
		page_time_s(cert.not_after_s));
}

static json_t *chain(const struct svid *svid)
{
	json_t *list = json_array();
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		json_array_append_new(list, certificate(svid_cert(svid, i)));
	return list;
}

static json_t *roots(const struct bundle *bundle)
{
	json_t *list = json_array();
	for (size_t i = 0; i < bundle_num_roots(bundle); i++)
		json_array_append_new(list, certificate(bundle_root(bundle, i)));
	return list;
}

static json_t *bundles(const struct bundle_set *set)
{
	json_t *list = json_array();
	for (size_t i = 0; i < bundle_set_num(set); i++) {
		const struct bundle *bundle = bundle_set_at(set, i);
		json_array_append_new(list, json_pack("{s:s, s:o}", "trust_domain", bundle_trust_domain(bundle)->name,
						    "roots", roots(bundle)));
	}
	return list;
}

/* The incarnation is a random number of 64 bits, which many JSON parsers would round: it is a string. */
static json_t *epoch(struct epoch epoch)
{
	char incarnation[24];
	snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, epoch.incarnation);
	return json_pack("{s:s, s:I}", "incarnation", incarnation, "counter", (json_int_t)epoch.counter);
}

static json_t *identity(const struct credentials *credentials, int64_t now_s)
{
	const struct svid *svid = credentials_svid(credentials);
	char serial[64];
	int64_t time_to_expiry_s = svid_not_after_s(svid) - now_s;
	return json_pack("{s:o, s:s, s:o, s:o, s:I, s:b, s:o}", "id", page_text(credentials_id(credentials)->text),
		"serial", describe_hex(svid_serial(svid), serial, sizeof(serial)), "not_before",
		page_time_s(svid_not_before_s(svid)), "not_after", page_time_s(svid_not_after_s(svid)),
		"time_to_expiry_seconds", (json_int_t)(time_to_expiry_s > 0 ? time_to_expiry_s : 0), "valid",
		credentials_are_valid(credentials, now_s), "chain", chain(svid));
}

json_t *page_certs(const struct credentials *credentials, int64_t now_s)
{
	if (credentials == NULL)
		return json_pack("{s:n, s:[], s:n}", "identity", "bundles", "epoch");
	return json_pack("{s:o, s:o, s:o}", "identity", identity(credentials, now_s), "bundles",
		bundles(credentials_bundles(credentials)), "epoch", epoch(credentials_epoch(credentials)));
}

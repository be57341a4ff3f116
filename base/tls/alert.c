#include "base/tls/alert.h"
#include "base/core/check.h"
#include <stddef.h>

struct row {
	enum tls_alert number;
	const char *name;
	enum err err;
	const char *meaning;
	const char *fix;
};

static const struct row rows[] = {
#define ALERT(its_number, its_name, its_err, its_meaning, its_fix)                                                     \
	{TLS_ALERT_##its_name, #its_name, its_err, its_meaning, its_fix},
#include "base/tls/alerts.def"
#undef ALERT
};

/* A refusal by the peer is a failure: no alert may read as ERR_NONE. */
#define ALERT(its_number, its_name, its_err, its_meaning, its_fix) _Static_assert(its_err != ERR_NONE, #its_name);
#include "base/tls/alerts.def"
#undef ALERT

static const struct row *find(int number)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if ((int)rows[i].number == number)
			return &rows[i];
	return NULL;
}

const char *alert_name(int number)
{
	const struct row *row = find(number);
	return row != NULL ? row->name : "unassigned";
}

enum err alert_explain(int number, struct why *why)
{
	const struct row *row = find(number);
	if (row == NULL)
		return why_set(why, ERR_PROTOCOL, "the peer to accept the connection", "look at the peer's log",
			"the peer sent the TLS alert %d, which is unassigned", number);
	return why_set(why, row->err, "the peer to accept the connection", row->fix,
		"the peer sent the TLS alert %s: %s", row->name, row->meaning);
}

enum tls_alert alert_for_refusal(enum err err)
{
	/* Not a switch over the enum: it would list thirty errors that a verifier never returns. */
	if (err == ERR_EXPIRED || err == ERR_NOT_YET_VALID)
		return TLS_ALERT_certificate_expired;
	if (err == ERR_UNTRUSTED || err == ERR_NO_BUNDLE)
		return TLS_ALERT_unknown_ca;
	if (err == ERR_REVOKED)
		return TLS_ALERT_certificate_revoked;
	if (err == ERR_WRONG_PEER || err == ERR_DENIED)
		return TLS_ALERT_access_denied;
	if (err == ERR_NO_CERTIFICATE)
		return TLS_ALERT_certificate_required;
	return TLS_ALERT_bad_certificate;
}

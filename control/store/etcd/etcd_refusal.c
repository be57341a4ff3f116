#include "control/store/etcd/etcd_refusal.h"
#include <stdio.h>
#include <string.h>

static const struct {
	const char *text;
	enum etcd_refusal refusal;
} refusals[] = {
	{"invalid auth token", ETCD_REFUSAL_TOKEN},
	{"revision of auth store is old", ETCD_REFUSAL_TOKEN}, /* a JWT names the revision that it was made at */
	{"revision in header is old", ETCD_REFUSAL_TOKEN},     /* the same of 3.4 */
	{"user name is empty", ETCD_REFUSAL_NO_USER},
	{"authentication failed, invalid user ID or password", ETCD_REFUSAL_PASSWORD},
	{"user name not found", ETCD_REFUSAL_PASSWORD},
	{"permission denied", ETCD_REFUSAL_PERMISSION},
	{"authentication is not enabled", ETCD_REFUSAL_NOT_ON},
};

enum etcd_refusal etcd_refusal_of(enum rpc_status status, const char *message)
{
	for (size_t i = 0; message != NULL && status != RPC_OK && i < sizeof refusals / sizeof refusals[0]; i++)
		if (strstr(message, refusals[i].text) != NULL)
			return refusals[i].refusal;
	return status == RPC_UNAUTHENTICATED     ? ETCD_REFUSAL_TOKEN
	       : status == RPC_PERMISSION_DENIED ? ETCD_REFUSAL_PERMISSION
						 : ETCD_REFUSAL_OTHER;
}

static void permission_why(const struct etcd_who *who, struct why *out)
{
	char expected[sizeof out->expected], fix[sizeof out->fix];
	snprintf(expected, sizeof expected, "a role of that user with readwrite permission for the prefix %.90s",
		who->prefix);
	snprintf(fix, sizeof fix,
		"`etcdctl role grant-permission ROLE --prefix=true readwrite %.56s`; `etcdctl user grant-role %.40s "
		"ROLE`",
		who->prefix, who->user == NULL ? "USER" : who->user);
	if (who->user != NULL)
		(void)why_set(
			out, ERR_DENIED, expected, fix, "etcd has denied permission to its user '%.64s'", who->user);
	else
		(void)why_set(out, ERR_DENIED, expected, fix,
			"etcd has denied permission to the user that store.etcd.certificate names, because "
			"store.etcd.user is not set");
}

void etcd_refusal_why(enum rpc_status status, const char *message, const struct etcd_who *who, struct why *out)
{
	const struct why otherwise = {.err = ERR_UNAVAILABLE,
		.expected = "etcd with a majority of its members",
		.fix = "check etcd: `etcdctl endpoint status --cluster`; `etcdctl alarm list`",
		.got = "etcd refused a request"};
	switch (etcd_refusal_of(status, message)) {
	case ETCD_REFUSAL_TOKEN:
		(void)why_set(out, ERR_EXPIRED, "a token that is valid", "none: another one is asked for",
			"etcd's token of this control plane is not valid any more");
		return;
	case ETCD_REFUSAL_NO_USER:
		(void)why_set(out, ERR_DENIED, "a user of etcd",
			"set store.etcd.user and store.etcd.password_file; or start etcd with --client-cert-auth, and "
			"name the certificate as the user",
			"etcd has authentication enabled, and nothing names a user");
		return;
	case ETCD_REFUSAL_PASSWORD:
		(void)why_set(out, ERR_DENIED, "the password that etcd has for this user",
			"correct store.etcd.user, or write the password into the file; to set it: `etcdctl user passwd "
			"USER`",
			"etcd refuses the user '%.64s' with the password in %.120s", who->user == NULL ? "" : who->user,
			who->password_file == NULL ? "" : who->password_file);
		return;
	case ETCD_REFUSAL_PERMISSION:
		permission_why(who, out);
		return;
	case ETCD_REFUSAL_NOT_ON:
	case ETCD_REFUSAL_OTHER:
		(void)rpc_status_why(status, message, &otherwise, out);
		return;
	}
}

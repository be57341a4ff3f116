#include "base/kube/kube_status.h"
#include "base/json/json_read.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PART_MAX = 96, MESSAGE_MAX = 200 };

/* What a rule of RBAC has: of "/apis/GROUP/VERSION/[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]". */
struct target {
	char group[PART_MAX], resource[2 * PART_MAX];
	bool is_in_namespace;
};

/* Part i of the path, empty when there are fewer. */
static const char *part_of(const char *path, unsigned i, char out[PART_MAX])
{
	const char *at = path[0] == '/' ? path + 1 : path;
	for (; i > 0 && at[strcspn(at, "/?")] == '/'; i--)
		at += strcspn(at, "/?") + 1;
	snprintf(out, PART_MAX, "%.*s", i > 0 ? 0 : (int)strcspn(at, "/?"), at);
	return out;
}

static struct target target_of(const char *path)
{
	struct target target = {0};
	char part[PART_MAX], below[PART_MAX];
	unsigned at = 2;
	if (strcmp(part_of(path, 0, part), "apis") == 0)
		part_of(path, at++ - 1, target.group);
	part_of(path, at, part);
	target.is_in_namespace = strcmp(part, "namespaces") == 0 && part_of(path, at + 2, below)[0] != '\0';
	if (target.is_in_namespace)
		part_of(path, at += 2, part);
	part_of(path, at + 2, below); /* a subresource */
	snprintf(target.resource, sizeof(target.resource), "%s%s%s", part, below[0] != '\0' ? "/" : "", below);
	return target;
}

static const char *message_of(const json_t *status)
{
	const char *message = json_string_value(json_object_get(status, "message"));
	return message != NULL ? message : "it gives no reason";
}

static enum err explain_denied(
	unsigned status, const char *message, const struct target *target, const char *verbs, struct why *why)
{
	char rule[224];
	if (status == 401)
		return why_set(why, ERR_DENIED, "a token or certificate that the API server accepts",
			"check that the service account exists and the token's volume is mounted",
			"the API server accepts neither our token nor our certificate: %.*s", MESSAGE_MAX, message);
	snprintf(rule, sizeof(rule), "RBAC: apiGroups [\"%.40s\"], resources [\"%.50s\"], verbs [%.40s]", target->group,
		target->resource, verbs);
	return why_set(why, ERR_DENIED, "a rule of RBAC that allows it",
		target->is_in_namespace ? "add the rule to our Role and bind it in that namespace"
					: "add the rule to our ClusterRole",
		"%s is missing: %.*s", rule, MESSAGE_MAX, message);
}

static enum err err_of(unsigned status)
{
	switch (status) {
	case 400:
	case 406:
	case 415:
	case 422:
		return ERR_UNSUPPORTED;
	case 404:
	case 410:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_CONFLICT;
	case 429:
		return ERR_LIMIT;
	}
	return ERR_UNAVAILABLE;
}

enum err kube_status_explain(unsigned status, struct span body, const char *path, const char *verbs, struct why *why)
{
	json_t *root = json_read(body, NULL);
	struct target target = target_of(path);
	const char *message = message_of(root);
	enum err err = err_of(status);
	if (status == 401 || status == 403)
		err = explain_denied(status, message, &target, verbs, why);
	else if (status == 404)
		(void)why_set(why, err, "a resource that the API server has",
			"apply the manifest that defines it, or check its name",
			"the API server has no %.90s%s%.90s: %.*s", target.resource,
			target.group[0] != '\0' ? " of " : "", target.group, MESSAGE_MAX, message);
	else
		(void)why_set(why, err, "an answer that is a success", "see the API server's log",
			"the API server answered %u for %.90s: %.*s", status, target.resource, MESSAGE_MAX, message);
	json_decref(root);
	return err;
}

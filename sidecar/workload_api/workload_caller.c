#include "sidecar/workload_api/workload_caller.h"

#include "base/net/socket.h"

enum err workload_caller_of(int fd, struct workload_caller *out)
{
	struct workload_caller caller = {0};
	RETURN_IF_ERR(socket_peer_user(fd, &caller.uid));
	enum err err = socket_network_namespace(fd, &caller.network_namespace);
	if (err != ERR_NONE && err != ERR_UNSUPPORTED)
		return err;
	caller.has_namespace = err == ERR_NONE;
	*out = caller;
	return ERR_NONE;
}

static bool may_user(const struct workload_rules *rules, uid_t uid)
{
	if (uid == 0 || uid == rules->own || rules->allows_every_user)
		return true;
	for (size_t i = 0; i < rules->num_uids; i++)
		if (rules->uids[i] == uid)
			return true;
	return false;
}

enum err workload_rules_judge(const struct workload_rules *rules, const struct workload_caller *caller, struct why *why)
{
	/* W6: root of a user namespace that is not mapped into this one looks like this, too. */
	if (caller->uid == WORKLOAD_OVERFLOW_UID)
		return why_set(why, ERR_DENIED, "a user of this user namespace with a number of its own",
			"run the workload as a user with a number of its own",
			"uid %u stands for every user without a number here", (unsigned)caller->uid);
	if (rules->has_namespace && caller->has_namespace && rules->network_namespace != caller->network_namespace)
		return why_set(why, ERR_DENIED, "a process in the sidecar's network namespace",
			"give the process a sidecar of its own", "a process of uid %u is in another network namespace",
			(unsigned)caller->uid);
	if (!may_user(rules, caller->uid))
		return why_set(why, ERR_DENIED, "root or a user of workload_api.uids",
			"add the user's number to workload_api.uids if the workload runs as it",
			"uid %u may not ask for the identity", (unsigned)caller->uid);
	return ERR_NONE;
}

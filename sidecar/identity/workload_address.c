#include "sidecar/identity/workload_address.h"

#include <string.h>

enum err workload_address_parse(const char *text, const char **out_path, struct why *why)
{
	static const char scheme[] = "unix://";
	const char *path = strncmp(text, scheme, sizeof(scheme) - 1) == 0 ? text + sizeof(scheme) - 1 : text;
	if (path[0] != '/' || path[1] == '\0' || strpbrk(path, "?#") != NULL)
		return why_set(why, ERR_CONFIG, "the path of a Unix socket, as in unix:///run/spire/agent.sock",
			"correct identity.workload_api_address, or SPIFFE_ENDPOINT_SOCKET", "the address is '%s'",
			text);
	*out_path = path;
	return ERR_NONE;
}

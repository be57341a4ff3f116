#include "base/core/service_link.h"

#include <regex.h>
#include <stddef.h>
#include <string.h>

/* NAME_SERVICE_HOST, NAME_SERVICE_PORT, NAME_SERVICE_PORT_HTTPS; NAME_PORT_80_TCP and its _PROTO, _PORT, _ADDR. */
#define SERVICE "(^|_)SERVICE_(HOST|PORT|PORT_[A-Z0-9_]+)$"
#define PORT    "(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
/* NAME_PORT could be a misspelled setting: the value decides, such as tcp://10.0.0.1:80. */
#define WHOLE "(^|_)PORT$"
#define VALUE "^(tcp|udp|sctp)://"

static bool matches(const char *pattern, const char *text)
{
	regex_t expression;
	if (regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool is_match = regexec(&expression, text, 0, NULL, 0) == 0;
	regfree(&expression);
	return is_match;
}

bool service_link_is(const char *rest, const char *value)
{
	return matches(SERVICE, rest) || matches(PORT, rest) || (matches(WHOLE, rest) && matches(VALUE, value));
}

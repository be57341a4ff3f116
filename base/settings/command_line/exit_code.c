#include "base/settings/command_line/exit_code.h"

enum cli_exit cli_exit_of(enum err err)
{
	switch (err) {
	case ERR_NONE:
		return CLI_DONE;
	case ERR_CONFIG:
		return CLI_USAGE;
	case ERR_STATE_DAMAGED:
	case ERR_MALFORMED:
	case ERR_TRUNCATED:
	case ERR_TOO_LARGE:
		return CLI_DAMAGED;
	case ERR_DENIED:
		return CLI_DENIED;
	case ERR_UNAVAILABLE:
	case ERR_EXISTS:
	case ERR_NOT_FOUND:
	case ERR_UNSUPPORTED:
	case ERR_LIMIT:
	case ERR_NO_PORT:
	case ERR_FD_EXHAUSTED:
	case ERR_IO:
	case ERR_TIMEOUT:
	case ERR_UNREACHABLE:
	case ERR_CLOSED:
	case ERR_RESET:
		return CLI_UNAVAILABLE;
	case ERR_SYSTEM:
	case ERR_CRYPTO:
	case ERR_KEY_MISMATCH:
		return CLI_FAULT;
	case ERR_REFUSED:
	case ERR_CONFLICT:
	case ERR_PROTOCOL:
	case ERR_WEAK_KEY:
	case ERR_UNTRUSTED:
	case ERR_NO_BUNDLE:
	case ERR_EXPIRED:
	case ERR_NOT_YET_VALID:
	case ERR_REVOKED:
	case ERR_WRONG_PEER:
	case ERR_NOT_SVID:
	case ERR_NO_CERTIFICATE:
		return CLI_REFUSED;
	}
	return CLI_FAULT;
}

/* Which of etcd's refusals concern the user, and what an operator does about each. Pure. etcd has no error codes of its
 * own: the gRPC status and the text of etcd's api/v3rpc/rpctypes decide (3.4 to 3.6). */
#pragma once

#include "base/rpc/rpc.h"

enum etcd_refusal {
	ETCD_REFUSAL_OTHER,
	/* The token has expired, ended with the member's process or by a change of users, or was missing: a new
	 * connection gets another one. */
	ETCD_REFUSAL_TOKEN,
	ETCD_REFUSAL_NO_USER,    /* authentication is on, and neither a token nor a certificate has named a user */
	ETCD_REFUSAL_PASSWORD,   /* or the user does not exist: etcd does not distinguish them */
	ETCD_REFUSAL_PERMISSION, /* the user may not do this to this key */
	ETCD_REFUSAL_NOT_ON,     /* authentication is off */
};

enum etcd_refusal etcd_refusal_of(enum rpc_status status, const char *message);

struct etcd_who {
	const char *user; /* NULL: the common name of the client certificate */
	const char *prefix, *password_file;
};
/* What happened, what is expected, what to do. ERR_EXPIRED: a token; ERR_DENIED: an operator has to act; else
 * ERR_UNAVAILABLE. */
void etcd_refusal_why(enum rpc_status status, const char *message, const struct etcd_who *who, struct why *out);

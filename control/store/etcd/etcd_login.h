/* The login of one connection to etcd: user and password for a token, which each call then carries as metadata (etcd's
 * Auth service; etcd 3.4 to 3.6). The password comes from a file, which is read for each login, and neither it nor the
 * token is ever logged. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"

#define ETCD_PASSWORD_MAX 1024 /* bytes */
#define ETCD_TOKEN_MAX    4096 /* bytes; a simple token has 20 or so, a JWT some hundred */

/* ERR_NONE: the client carries the token, or etcd's authentication is off and it carries none. ERR_DENIED: there is no
 * password, or etcd refuses it; others as of a call. Never within etcd_login_start(); perhaps within a call's end. */
typedef void etcd_login_fn(void *arg, enum err err, const struct why *why);

struct etcd_login { /* of the owner; zeroed by etcd_login_init() */
	struct loop *loop;
	const char *user, *password_file; /* borrowed; NULL: no login is ever begun */
	etcd_login_fn *on_done;
	void *arg;
	struct rpc_client *client; /* borrowed */
	struct rpc_call *call;     /* NULL: none is under way */
	struct buf token;          /* empty: none */
	struct why detail;         /* of what cannot be begun, or of a message that cannot be read */
	struct loop_task fail;
	bool is_off; /* etcd's authentication, and it is logged */
};

void etcd_login_init(struct etcd_login *login, struct loop *loop, const char *user, const char *password_file,
	etcd_login_fn *on_done, void *arg);
/* The client is connected, and stays until on_done or etcd_login_stop(). */
void etcd_login_start(struct etcd_login *login, struct rpc_client *client, uint32_t deadline_ms);
/* Before the client is freed, without on_done. The token is forgotten. */
void etcd_login_stop(struct etcd_login *login);
bool etcd_login_has_token(const struct etcd_login *login);

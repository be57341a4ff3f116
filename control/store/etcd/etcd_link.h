/* A connection to one member of etcd at a time: dials the members in turn, beginning with a random one, with backoff
 * once all have failed; and leaves a member that does not answer for the majority. With a user it logs in on each
 * connection before it is up. Belongs to one loop. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"

#define ETCD_ENDPOINTS_MAX 16

struct etcd_endpoint {
	char *host; /* a DNS name, or an IP address without brackets */
	uint16_t port;
};

struct name_servers;

struct etcd_members { /* borrowed until etcd_link_free() */
	struct etcd_endpoint endpoints[ETCD_ENDPOINTS_MAX];
	size_t num_endpoints;
	/* PEM, read again for each connection: what the members' certificates end in, and what this end presents. */
	char *ca_file, *certificate_file, *key_file;
	const struct name_servers *name_servers; /* borrowed; NULL: none were kept (base/net/resolver.h) */
	char *user, *password_file;              /* NULL: no login; the file is read again for each connection */
};

struct etcd_link_events {
	void (*on_up)(void *arg);
	/* Calls that were open end without on_done from now on. Also when a dial failed. */
	void (*on_down)(void *arg, const struct why *why);
};

struct etcd_link;
struct etcd_link *etcd_link_new(
	struct loop *loop, const struct etcd_members *members, const struct etcd_link_events *events, void *arg);
void etcd_link_free(struct etcd_link *link);                       /* without on_down */
struct rpc_client *etcd_link_client(const struct etcd_link *link); /* NULL: down */
/* There is no user, or the calls carry its token; false: etcd's authentication was off at the login. */
bool etcd_link_is_logged_in(const struct etcd_link *link);
/* This member is of no use now, or of no use at all: on_down, later, and another one is dialed. */
void etcd_link_leave(struct etcd_link *link, const struct why *why);
/* A member has answered for the majority: the next failure is the first one. */
void etcd_link_is_useful(struct etcd_link *link);

/* The registry's insides; only files of this folder include this. */
#pragma once

#include "control/registry/claim.h"
#include "control/registry/registry.h"

enum { REGISTRY_BUCKETS = 16384 };

struct registry {
	struct loop *loop;
	struct store *store;
	const struct control_config *config;
	struct registry_observer observer;
	struct store_watch watch;
	struct loop_timer grace;
	struct claim *claims[REGISTRY_BUCKETS];
};

unsigned registry_bucket(const struct ip_addr *ip);
struct claim *registry_find(const struct registry *registry, const struct ip_addr *ip);
bool networks_have(const struct network *networks, size_t num, const struct ip_addr *ip);
void registry_grace_start(struct registry *registry);

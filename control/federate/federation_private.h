/* Shared by federation.c and federation_commands.c. */
#pragma once

#include "control/federate/endpoint.h"
#include "control/federate/own_bundle.h"
#include "control/federate/partner.h"

struct federation {
	struct federation_options options;
	uint32_t hint_min_s;
	struct list partners;
	struct store_watch watch;
	struct loop_timer sweep; /* records of partners that are no longer in the settings */
	struct own_bundle own;
	struct endpoint_identity *identity; /* NULL: no endpoint */
	struct endpoint *endpoint;
};

struct partner *federation_find(const struct federation *federation, struct span trust_domain); /* NULL: none */

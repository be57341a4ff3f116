/* The policy part of discovery.proto. Only messages_*.c include this header. */
#pragma once

#include "proto/handfast/v1/discovery.pb-c.h"
#include "sidecar/discovery/messages.h"

enum err policy_of_message(const Handfast__V1__Policy *message, const struct trust_domain *own_domain,
	struct policy **out, struct why *why) _must_use_;
enum err network_of_message(const Handfast__V1__Network *message, struct network *out, struct why *why) _must_use_;

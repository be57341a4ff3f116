/* The identities of a session: the own chain and key, and the peer's verified identity. */
#pragma once

#include "base/tls/session.h"

enum err session_identity_set(
	struct tls_session *session, const struct tls_session_options *options, struct why *why) _must_use_;

/* One secret of Envoy's SDS. Private to this folder. */
#pragma once

#include "sidecar/workload_api/sds_messages.h"

#define SDS_SECRET_MAX (2u * 1024 * 1024)

/* A Secret of that name; certificates, keys and lists in PEM. See sds_answer_encode(). */
enum err sds_secret_encode(const struct credentials *credentials, const char *name, enum sds_validation validation,
	struct buf *out, struct why *why) _must_use_;

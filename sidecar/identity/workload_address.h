/* The address of a SPIFFE Workload API (SPIFFE Workload Endpoint 4). Pure. */
#pragma once

#include "base/core/err.h"

/* The path in "unix:///abs/path", or in a bare absolute path; borrowed. ERR_CONFIG: another form. */
enum err workload_address_parse(const char *text, const char **out_path, struct why *why) _must_use_;

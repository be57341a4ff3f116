/* The settings `tls.profile` and `tls.groups`, which the sidecar and the control plane have alike. */
#pragma once

#include "base/settings/settings.h"
#include "base/tls/key_exchange.h"

/* The given groups in their order, or those of the profile where none is given. Faults are reported at `groups`. */
struct key_exchange_list key_exchange_list_read(struct settings *settings);

/* Makes thousands of join tokens over the control plane's operator socket. */
#pragma once

#include "base/core/err.h"

/* Writes folder/0, folder/1, ... (mode 0600), each with a token for the identity that id_of() makes for its number (to
 * be freed with mem_free()). */
enum err tokens_make(const char *operator_socket, const char *folder, unsigned num,
	char *(*id_of)(void *arg, unsigned number), void *arg, struct why *why) _must_use_;

/* Records per inbound port whether mesh traffic and plaintext have used it: a port with mesh traffic only is ready for
 * mode strict. Two bits per port, so its size is fixed. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct port_use;
struct port_use *port_use_new(void);
void port_use_free(struct port_use *use);
void port_use_add(struct port_use *use, uint16_t port, bool encrypted);

typedef void port_use_fn(void *arg, uint16_t port, bool mesh, bool plaintext);
void port_use_each(const struct port_use *use, port_use_fn *each, void *arg); /* in order; only ports that were used */

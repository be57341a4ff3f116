/* Which inbound ports have seen the mesh and which plaintext: those that only mesh traffic has used are ready for
 * strict. One bit each for every port, so nothing that comes from outside makes it grow. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct port_use;
struct port_use *port_use_new(void);
void port_use_free(struct port_use *use);
void port_use_note(struct port_use *use, uint16_t port, bool encrypted);

typedef void port_use_fn(void *arg, uint16_t port, bool mesh, bool plaintext);
void port_use_each(const struct port_use *use, port_use_fn *each, void *arg); /* in order; only ports that were used */

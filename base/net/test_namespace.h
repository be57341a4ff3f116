/* For tests: a new network namespace with lo up and a default route that leads nowhere. */
#pragma once

/* cmocka group setup; fails with a message without root. */
int test_namespace_enter(void **state);

/* Adds a link with 192.0.2.1/24 and 2001:db8:9::1/64, and default routes to missing neighbors on it. */
void test_namespace_add_way_out(void);

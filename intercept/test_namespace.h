/* For tests: a network namespace of this process's own, with lo up and a way out that leads nowhere. */
#pragma once

/* cmocka group setup; ends the test with a word when this is not root. */
int test_namespace_enter(void **state);

/* 192.0.2.1/24 and 2001:db8:9::1/64 on a link of its own, default routes into the void behind it. */
void test_namespace_add_way_out(void);

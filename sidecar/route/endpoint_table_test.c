#include "base/core/cleanup.h"
#include "sidecar/route/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct listener_of_answers {
	struct endpoint_waiter waiter;
	unsigned calls;
	uint64_t version;
	struct endpoint_table *again; /* the callback waits on it once more */
};

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static void put(struct endpoint_table *table, const char *text, uint64_t version)
{
	struct addr addr = addr_of(text);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&addr, DESTINATION_PLAINTEXT, version, 0);
	endpoint_table_put(table, answer);
}

static void note(struct endpoint_waiter *waiter, struct answer *answer)
{
	struct listener_of_answers *who = container_of(waiter, struct listener_of_answers, waiter);
	who->calls++;
	who->version = answer->version;
	waiter->on_answer = note;
	if (who->again != NULL)
		endpoint_table_wait(who->again, &answer->destination, waiter);
}

static void an_answer_calls_every_waiter_of_its_destination_once(void **state)
{
	(void)state;
	struct endpoint_table *table = endpoint_table_new(8);
	struct listener_of_answers a = {.waiter.on_answer = note}, b = {.waiter.on_answer = note},
				   other = {.waiter.on_answer = note};
	struct addr here = addr_of("192.0.2.1:80"), there = addr_of("192.0.2.1:81");
	endpoint_table_wait(table, &here, &a.waiter);
	endpoint_table_wait(table, &here, &b.waiter);
	endpoint_table_wait(table, &there, &other.waiter);
	assert_null(endpoint_table_find(table, &here));
	put(table, "192.0.2.1:80", 7);
	put(table, "192.0.2.1:80", 8);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(a.version, 7);
	assert_int_equal(other.calls, 0);
	assert_int_equal(endpoint_table_find(table, &here)->version, 8);
	endpoint_table_free(table);
}

static void a_waiter_may_wait_again_from_its_callback(void **state)
{
	(void)state;
	struct endpoint_table *table = endpoint_table_new(8);
	struct listener_of_answers a = {.waiter.on_answer = note, .again = table};
	struct addr here = addr_of("192.0.2.1:80");
	endpoint_table_wait(table, &here, &a.waiter);
	put(table, "192.0.2.1:80", 1);
	assert_int_equal(a.calls, 1);
	put(table, "192.0.2.1:80", 2);
	assert_int_equal(a.calls, 2);
	endpoint_table_free(table);
}

static void a_canceled_waiter_is_never_called(void **state)
{
	(void)state;
	struct endpoint_table *table = endpoint_table_new(8);
	struct listener_of_answers a = {.waiter.on_answer = note};
	struct addr here = addr_of("192.0.2.1:80");
	endpoint_table_wait(table, &here, &a.waiter);
	endpoint_waiter_cancel(&a.waiter);
	endpoint_waiter_cancel(&a.waiter);
	put(table, "192.0.2.1:80", 1);
	assert_int_equal(a.calls, 0);
	endpoint_table_free(table);
}

static void the_least_recently_used_answer_is_evicted_first(void **state)
{
	(void)state;
	struct endpoint_table *table = endpoint_table_new(2);
	struct addr first = addr_of("192.0.2.1:1"), second = addr_of("192.0.2.1:2");
	put(table, "192.0.2.1:1", 1);
	put(table, "192.0.2.1:2", 1);
	assert_non_null(endpoint_table_find(table, &first));
	put(table, "192.0.2.1:3", 1);
	assert_non_null(endpoint_table_find(table, &first));
	assert_null(endpoint_table_find(table, &second));
	endpoint_table_free(table);
}

static void an_address_inside_the_mesh_and_not_plaintext_needs_an_answer(void **state)
{
	(void)state;
	struct mesh_networks *networks = mesh_networks_new(1, 1, 0);
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &networks->inside[0]), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.128/25"), &networks->plaintext[0]), ERR_NONE);
	struct addr in = addr_of("192.0.2.1:1"), plain = addr_of("192.0.2.200:1"), out = addr_of("198.51.100.1:1");
	assert_true(mesh_networks_needs_answer(networks, &in.ip));
	assert_false(mesh_networks_needs_answer(networks, &plain.ip));
	assert_false(mesh_networks_needs_answer(networks, &out.ip));
	assert_false(mesh_networks_requires_mtls(networks, &in.ip));
	mesh_networks_unref(networks);
}

static void the_endpoints_that_are_near_to_a_zone_are_found_in_each_answer(void **state)
{
	(void)state;
	static const uint32_t zones[][ENDPOINT_ZONES_MAX] = {{9}, {7, 9}, {0}, {UINT32_MAX}, {9, 9, 7}, {7}};
	struct addr at = addr_of("192.0.2.1:80");
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&at, DESTINATION_MESHED, 1, 6);
	size_t num = 7;
	answer_sort_zones(answer);
	(void)answer_near(answer, 7, &num);
	assert_int_equal(num, 0);
	for (size_t i = 0; i < 6; i++)
		memcpy(answer->endpoints[i].zones, zones[i], sizeof(zones[i]));
	answer->num_draining = 1;
	answer_sort_zones(answer);
	const struct near_place *near = answer_near(answer, 7, &num);
	assert_true(num == 2 && near[0].at == 1 && near[1].at == 4);
	near = answer_near(answer, 9, &num);
	assert_true(num == 3 && near[0].at == 0 && near[1].at == 1 && near[2].at == 4);
	near = answer_near(answer, UINT32_MAX, &num);
	assert_true(num == 1 && near[0].at == 3);
	static const uint32_t absent[] = {0, 1, 8, 10};
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++) {
		(void)answer_near(answer, absent[i], &num);
		assert_int_equal(num, 0);
	}
}

static void finding_p13_reports_a_family_that_the_mesh_networks_do_not_cover(_unused_ void **state)
{
	struct mesh_networks *networks = mesh_networks_new(1, 1, 1);
	assert_int_equal(network_parse(SPAN_LITERAL("10.0.0.0/8"), &networks->inside[0]), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &networks->plaintext[0]), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("::/0"), &networks->require_mtls[0]), ERR_NONE);
	assert_true(mesh_networks_have_family(networks, AF_INET));
	assert_false(mesh_networks_have_family(networks, AF_INET6));
	assert_int_equal(network_parse(SPAN_LITERAL("::/0"), &networks->plaintext[0]), ERR_NONE);
	assert_true(mesh_networks_have_family(networks, AF_INET6));
	mesh_networks_unref(networks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_endpoints_that_are_near_to_a_zone_are_found_in_each_answer),
		cmocka_unit_test(an_answer_calls_every_waiter_of_its_destination_once),
		cmocka_unit_test(a_waiter_may_wait_again_from_its_callback),
		cmocka_unit_test(a_canceled_waiter_is_never_called),
		cmocka_unit_test(the_least_recently_used_answer_is_evicted_first),
		cmocka_unit_test(an_address_inside_the_mesh_and_not_plaintext_needs_an_answer),
		cmocka_unit_test(finding_p13_reports_a_family_that_the_mesh_networks_do_not_cover),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/core/fair_queue.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { MANY = 1000 };

struct item {
	struct fair_entry entry;
	char name;
};

static void push(struct fair_queue *queue, const char *source, struct item *item)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(source), &ip), ERR_NONE);
	fair_queue_push(queue, keys, share_keys_of_source(&ip, keys), &item->entry);
}

static char take(struct fair_queue *queue)
{
	struct fair_entry *entry = fair_queue_next(queue);
	if (entry == NULL)
		return '-';
	fair_queue_remove(queue, entry);
	return container_of(entry, struct item, entry)->name;
}

static void expect_order(struct fair_queue *queue, const char *names)
{
	for (; *names != 0; names++)
		assert_int_equal(take(queue), *names);
}

static void sources_have_their_turn_one_after_the_other(_unused_ void **state)
{
	_cleanup_(fair_queue_freep) struct fair_queue *queue = fair_queue_new(1);
	struct item items[] = {
		{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'x'}, {.name = 'y'}, {.name = '1'}};
	for (int i = 0; i < 3; i++)
		push(queue, "192.0.2.1", &items[i]);
	push(queue, "192.0.2.2", &items[3]);
	push(queue, "192.0.2.2", &items[4]);
	push(queue, "192.0.2.3", &items[5]);
	assert_int_equal(fair_queue_len(queue), 6);
	expect_order(queue, "ax1byc-");
}

/* The source with the most entries is not served more often, and one that comes does not wait for all of them. */
static void C12_a_source_that_comes_waits_for_one_entry_of_each_other(_unused_ void **state)
{
	_cleanup_(fair_queue_freep) struct fair_queue *queue = fair_queue_new(2);
	static struct item items[MANY], honest;
	for (int i = 0; i < MANY; i++) {
		items[i] = (struct item){.name = 's'};
		push(queue, "203.0.113.9", &items[i]);
	}
	expect_order(queue, "sss");
	honest = (struct item){.name = 'h'};
	push(queue, "192.0.2.1", &honest);
	expect_order(queue, "shs");
	for (int i = 5; i < MANY; i++)
		assert_int_equal(take(queue), 's');
	assert_int_equal(take(queue), '-');
}

/* One who has a /64 has 2^64 addresses. */
static void C12_a_network_has_one_turn_and_its_addresses_have_theirs_within_it(_unused_ void **state)
{
	_cleanup_(fair_queue_freep) struct fair_queue *queue = fair_queue_new(3);
	struct item items[] = {
		{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'n'}, {.name = 'x'}, {.name = 'y'}};
	push(queue, "2001:db8::1", &items[0]);
	push(queue, "2001:db8::1", &items[1]);
	push(queue, "2001:db8::1", &items[2]);
	push(queue, "2001:db8::2", &items[3]); /* a neighbor of the one with many */
	push(queue, "2001:db8:0:1::1", &items[4]);
	push(queue, "2001:db8:0:1::1", &items[5]);
	expect_order(queue, "axnybc-");
}

static void an_entry_that_leaves_changes_no_other_turn(_unused_ void **state)
{
	_cleanup_(fair_queue_freep) struct fair_queue *queue = fair_queue_new(4);
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'x'}, {.name = 'y'}};
	push(queue, "192.0.2.1", &items[0]);
	push(queue, "192.0.2.1", &items[1]);
	push(queue, "192.0.2.2", &items[2]);
	push(queue, "2001:db8::1", &items[3]);
	fair_queue_remove(queue, &items[1].entry);
	fair_queue_remove(queue, &items[3].entry); /* the last of its address and of its network */
	expect_order(queue, "a");
	push(queue, "192.0.2.1", &items[1]);
	expect_order(queue, "xb-");
}

static void a_turn_can_be_passed_to_the_next_source(_unused_ void **state)
{
	_cleanup_(fair_queue_freep) struct fair_queue *queue = fair_queue_new(5);
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'x'}, {.name = 'y'}};
	push(queue, "2001:db8::1", &items[0]);
	push(queue, "2001:db8::1", &items[1]);
	push(queue, "2001:db8::2", &items[2]);
	push(queue, "192.0.2.1", &items[3]);
	fair_queue_pass(queue, fair_queue_next(queue));
	expect_order(queue, "yxab-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_have_their_turn_one_after_the_other),
		cmocka_unit_test(C12_a_source_that_comes_waits_for_one_entry_of_each_other),
		cmocka_unit_test(C12_a_network_has_one_turn_and_its_addresses_have_theirs_within_it),
		cmocka_unit_test(an_entry_that_leaves_changes_no_other_turn),
		cmocka_unit_test(a_turn_can_be_passed_to_the_next_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

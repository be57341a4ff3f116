#include "base/core/cleanup.h"
#include "base/core/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct item {
	int number;
	struct list_link link;
};

static void expect(struct list *list, const int *numbers, unsigned num)
{
	unsigned at = 0;
	LIST_EACH(list, struct item, item, link) {
		assert_true(at < num);
		assert_int_equal(item->number, numbers[at++]);
	}
	assert_int_equal(at, num);
	for (struct item *item = LIST_LAST(list, struct item, link); item != NULL; item = LIST_PREV(list, item, link))
		assert_int_equal(item->number, numbers[--at]);
	assert_int_equal(at, 0);
}

static void is_empty_when_zeroed(_unused_ void **state)
{
	struct list list = {0};
	struct list_link link = {0};
	assert_true(list_is_empty(&list));
	assert_false(list_is_linked(&link));
	assert_null(list_first(&list));
	assert_null(list_last(&list));
	expect(&list, NULL, 0);
}

static void keeps_the_order_of_both_ends(_unused_ void **state)
{
	struct list list = {0};
	struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
	list_push_front(&list, &items[1].link);
	list_push_back(&list, &items[2].link);
	list_push_front(&list, &items[0].link);
	expect(&list, (int[]){0, 1, 2}, 3);
	list_remove(&items[1].link);
	expect(&list, (int[]){0, 2}, 2);
	assert_false(list_is_linked(&items[1].link));
	list_push_back(&list, &items[1].link);
	expect(&list, (int[]){0, 2, 1}, 3);
	for (unsigned i = 0; i < 3; i++)
		list_remove(&items[i].link);
	assert_true(list_is_empty(&list));
	assert_null(list_first(&list));
}

static void an_item_may_leave_while_all_are_visited(_unused_ void **state)
{
	struct list list = {0};
	struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
	for (unsigned i = 0; i < 4; i++)
		list_push_back(&list, &items[i].link);
	LIST_EACH_REMOVABLE(&list, struct item, item, link)
		if (item->number % 2 == 1)
			list_remove(&item->link);
	expect(&list, (int[]){0, 2}, 2);
}

static void all_items_move_to_another_list(_unused_ void **state)
{
	struct list from = {0}, to = {0};
	struct item items[] = {{.number = 0}, {.number = 1}};
	list_take_all(&from, &to);
	assert_true(list_is_empty(&to));
	list_push_back(&from, &items[0].link);
	list_push_back(&from, &items[1].link);
	list_take_all(&from, &to);
	assert_true(list_is_empty(&from));
	expect(&to, (int[]){0, 1}, 2);
	list_remove(&items[0].link);
	list_push_back(&from, &items[0].link);
	expect(&from, (int[]){0}, 1);
	expect(&to, (int[]){1}, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_empty_when_zeroed),
		cmocka_unit_test(keeps_the_order_of_both_ends),
		cmocka_unit_test(an_item_may_leave_while_all_are_visited),
		cmocka_unit_test(all_items_move_to_another_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

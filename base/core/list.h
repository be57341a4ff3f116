/* An intrusive doubly linked list: the link is a member of the item, so that a list allocates nothing and an item
 * leaves it without a search. Zeroed, a list is empty and a link is in no list. A list that has items must not be
 * copied: its first and its last item point to it. */
#pragma once

#include "base/core/check.h"
#include <stdbool.h>

struct list_link {
	struct list_link *next, *prev; /* NULL: in no list */
};

struct list {
	struct list_link ends; /* next: the first item; prev: the last one */
};

static inline bool list_is_linked(const struct list_link *link)
{
	return link->next != NULL;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->ends.next == NULL || list->ends.next == &list->ends;
}

static inline void list_insert(struct list_link *before, struct list_link *link, struct list_link *after)
{
	link->prev = before;
	link->next = after;
	before->next = link;
	after->prev = link;
}

static inline struct list_link *list_ends(struct list *list)
{
	if (list->ends.next == NULL)
		list->ends.next = list->ends.prev = &list->ends;
	return &list->ends;
}

static inline void list_push_front(struct list *list, struct list_link *link)
{
	CHECK(!list_is_linked(link));
	struct list_link *ends = list_ends(list);
	list_insert(ends, link, ends->next);
}

static inline void list_push_back(struct list *list, struct list_link *link)
{
	CHECK(!list_is_linked(link));
	struct list_link *ends = list_ends(list);
	list_insert(ends->prev, link, ends);
}

static inline void list_remove(struct list_link *link)
{
	CHECK(list_is_linked(link) && link->prev->next == link && link->next->prev == link);
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = NULL;
}

/* All items of `from` go into `to`, which is empty. */
static inline void list_take_all(struct list *from, struct list *to)
{
	CHECK(list_is_empty(to));
	if (list_is_empty(from))
		return;
	list_insert(from->ends.prev, &to->ends, from->ends.next);
	from->ends.next = from->ends.prev = NULL;
}

/* The neighbors of a link, NULL at the end. */
static inline struct list_link *list_next(const struct list *list, const struct list_link *link)
{
	return link->next == &list->ends ? NULL : link->next;
}

static inline struct list_link *list_prev(const struct list *list, const struct list_link *link)
{
	return link->prev == &list->ends ? NULL : link->prev;
}

static inline struct list_link *list_first(const struct list *list)
{
	return list_next(list, &list->ends);
}

static inline struct list_link *list_last(const struct list *list)
{
	return list_prev(list, &list->ends);
}

static inline void *list_item(struct list_link *link, size_t offset)
{
	return link == NULL ? NULL : (char *)link - offset;
}

/* The same by item: its type, and which member of it is the link. NULL: there is none. */
#define LIST_FIRST(list, type, member) ((type *)list_item(list_first(list), offsetof(type, member)))
#define LIST_LAST(list, type, member)  ((type *)list_item(list_last(list), offsetof(type, member)))
#define LIST_NEXT(list, item, member)                                                                                  \
	((__typeof__(item))list_item(list_next(list, &(item)->member), offsetof(__typeof__(*(item)), member)))
#define LIST_PREV(list, item, member)                                                                                  \
	((__typeof__(item))list_item(list_prev(list, &(item)->member), offsetof(__typeof__(*(item)), member)))

#define LIST_EACH(list, type, item, member)                                                                            \
	for (type *item = LIST_FIRST(list, type, member); item != NULL; item = LIST_NEXT(list, item, member))
/* The body may remove and free the item, no other. */
#define LIST_EACH_REMOVABLE(list, type, item, member)                                                                  \
	for (type *item = LIST_FIRST(list, type, member),                                                              \
		  *item##_next = item == NULL ? NULL : LIST_NEXT(list, item, member);                                  \
		item != NULL; item = item##_next, item##_next = item == NULL ? NULL : LIST_NEXT(list, item, member))

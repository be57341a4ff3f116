#include "base/tls/key_exchange.h"
#include "base/core/check.h"
#include <string.h>

static const struct {
	const char *name;
	uint16_t number;
	bool is_in[3]; /* by enum key_exchange_profile */
} rows[] = {
#define KEY_EXCHANGE(symbol, its_name, its_number, by_default, is_fips, is_pq)                                         \
	{its_name, its_number, {by_default, is_fips, is_pq}},
#include "base/tls/key_exchanges.def"
#undef KEY_EXCHANGE
};

const char *key_exchange_name(enum key_exchange which)
{
	CHECK(which <= NUM_KEY_EXCHANGES);
	return which == NUM_KEY_EXCHANGES ? "none" : rows[which].name;
}

enum key_exchange key_exchange_by_name(struct span name)
{
	unsigned i = 0;
	while (i < NUM_KEY_EXCHANGES && !span_eq(name, span_of_str(rows[i].name)))
		i++;
	return (enum key_exchange)i;
}

uint16_t key_exchange_group_id(enum key_exchange which)
{
	CHECK(which < NUM_KEY_EXCHANGES);
	return rows[which].number;
}

enum key_exchange key_exchange_by_group_id(uint16_t id)
{
	unsigned i = 0;
	while (i < NUM_KEY_EXCHANGES && rows[i].number != id)
		i++;
	return (enum key_exchange)i;
}

struct key_exchange_list key_exchange_profile_list(enum key_exchange_profile profile)
{
	struct key_exchange_list list = {0};
	for (unsigned i = 0; i < NUM_KEY_EXCHANGES; i++)
		if (rows[i].is_in[profile])
			list.items[list.num++] = (enum key_exchange)i;
	return list;
}

enum err key_exchange_add(struct key_exchange_list *list, const char *name, struct why *why)
{
	enum key_exchange which = key_exchange_by_name(span_of_str(name));
	static const char expected[] = "X25519MLKEM768, X25519, P-256 and P-384, each at most once";
	if (which == NUM_KEY_EXCHANGES)
		return why_set(why, ERR_CONFIG, expected, "choose among them", "the group is '%s'", name);
	for (unsigned i = 0; i < list->num; i++)
		if (list->items[i] == which)
			return why_set(why, ERR_CONFIG, expected, "remove one of them", "%s is given twice", name);
	list->items[list->num++] = which;
	return ERR_NONE;
}

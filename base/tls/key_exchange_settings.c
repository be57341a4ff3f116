#include "base/tls/key_exchange_settings.h"

struct key_exchange_list key_exchange_list_read(struct settings *settings)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "tls"), *names;
	enum key_exchange_profile profile = (enum key_exchange_profile)setting_keyword(settings, map, "profile");
	size_t num = setting_list(settings, map, "groups", &names);
	struct key_exchange_list list = {0};
	struct why why = {0};
	if (num == 0)
		return key_exchange_profile_list(profile);
	for (size_t i = 0; i < num; i++)
		if (key_exchange_add(&list, setting_item_text(settings, names, i), &why) != ERR_NONE)
			setting_error_why(settings, map, "groups", &why);
	return list;
}

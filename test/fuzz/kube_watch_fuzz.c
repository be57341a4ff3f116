#include "base/core/check.h"
#include "base/kube/split.h"
#include "base/kube/watch_event.h"
#include "test/fuzz/fuzz.h"

enum { WINDOW = 4096 };

/* What the API server sends, as lines of a watch and as a list; the first byte is the size of the pieces. */
static void feed(struct split *split, const uint8_t *bytes, size_t len, size_t piece, bool is_list)
{
	size_t fed = 0, credited = 0;
	enum err err = ERR_NOT_FOUND;
	for (size_t at = 0; at < len && err == ERR_NOT_FOUND; at += piece) {
		size_t part = len - at < piece ? len - at : piece;
		CHECK(split_feed(split, span_of(bytes + at, part)) == ERR_NONE);
		fed += part;
		struct span object;
		while ((err = is_list ? split_next_item(split, &object) : split_next_line(split, &object)) ==
			ERR_NONE) {
			CHECK(object.len > 0 && object.len <= SPLIT_OBJECT_MAX);
			if (is_list)
				CHECK(object.ptr[0] == '{' && object.ptr[object.len - 1] == '}');
			struct watch_event event = {0};
			if (watch_event_parse(object, &event, NULL) == ERR_NONE)
				CHECK(json_is_object(event.object) &&
					(event.type == WATCH_ERROR || event.version[0] != '\0'));
			watch_event_done(&event);
		}
		credited += split_take_credit(split);
		CHECK(credited <= fed && (err != ERR_NOT_FOUND || credited == fed));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	for (int is_list = 0; is_list <= 1; is_list++) {
		_cleanup_(split_done) struct split split = {0};
		struct span list;
		split_init(&split, WINDOW);
		feed(&split, bytes + 1, len - 1, (size_t)bytes[0] + 1, is_list == 1);
		if (split_list(&split, &list) == ERR_NONE)
			CHECK(is_list == 1 && list.len < len);
	}
	return 0;
}

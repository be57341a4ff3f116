#include "test/herd/moments.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdlib.h>
#include <string.h>

const char *const moment_names[MOMENTS_NUM] = {"svid", "trust", "mesh", "answers", "back"};

void moments_init(struct moments *moments, unsigned num_members)
{
	*moments = (struct moments){.num_members = num_members};
	for (unsigned i = 0; i < MOMENTS_NUM; i++) {
		moments->kinds[i].at_ms = mem_calloc(num_members, sizeof *moments->kinds[i].at_ms);
		moments->kinds[i].last_ms = mem_calloc(num_members, sizeof *moments->kinds[i].last_ms);
	}
}

void moments_done(struct moments *moments)
{
	for (unsigned i = 0; i < MOMENTS_NUM; i++) {
		mem_free(moments->kinds[i].at_ms);
		mem_free(moments->kinds[i].last_ms);
	}
}

void moments_since(struct moments *moments, enum moment kind, uint64_t since_ms)
{
	moments->kinds[kind].since_ms = since_ms;
	moments->kinds[kind].num = 0;
	for (unsigned i = 0; i < moments->num_members; i++) {
		uint64_t *at_ms = &moments->kinds[kind].at_ms[i];
		/* An event may come before this is called, and be the last one of the time before. */
		if (*at_ms < since_ms)
			*at_ms = moments->kinds[kind].last_ms[i];
		if (*at_ms < since_ms)
			*at_ms = 0;
		moments->kinds[kind].num += *at_ms != 0;
	}
}

void moments_note(struct moments *moments, enum moment kind, unsigned member, uint64_t now_ms)
{
	CHECK(member < moments->num_members);
	uint64_t *at_ms = &moments->kinds[kind].at_ms[member];
	moments->kinds[kind].last_ms[member] = now_ms;
	if (*at_ms != 0 || now_ms < moments->kinds[kind].since_ms)
		return;
	*at_ms = now_ms;
	moments->kinds[kind].num++;
}

unsigned moments_num(const struct moments *moments, enum moment kind)
{
	return moments->kinds[kind].num;
}

static int earlier(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

void moments_hundredths(const struct moments *moments, enum moment kind, uint64_t out[101])
{
	uint64_t *sorted = mem_calloc(moments->num_members, sizeof *sorted);
	size_t num = 0;
	for (unsigned i = 0; i < moments->num_members; i++)
		if (moments->kinds[kind].at_ms[i] != 0)
			sorted[num++] = moments->kinds[kind].at_ms[i] - moments->kinds[kind].since_ms;
	qsort(sorted, num, sizeof *sorted, earlier);
	for (size_t i = 0; i <= 100; i++)
		out[i] = num == 0 ? 0 : sorted[(num - 1) * i / 100];
	mem_free(sorted);
}

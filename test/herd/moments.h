/* When each member of a herd had an event of a kind for the first time since a moment. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kinds of events, with the names that commands and reports have for them. */
enum moment {
	MOMENT_SVID,    /* a certificate: the first one, or the next */
	MOMENT_TRUST,   /* a trust state is in use */
	MOMENT_MESH,    /* the mesh's state and policy */
	MOMENT_ANSWERS, /* an answer to each subscription, for the first time */
	MOMENT_BACK,    /* a new connection: its stream has brought trust state and policy */
	MOMENTS_NUM
};
extern const char *const moment_names[MOMENTS_NUM];

struct moments {
	unsigned num_members;
	struct {
		uint64_t since_ms;
		uint64_t *at_ms, *last_ms; /* per member: the first one since then, the last one; 0: none */
		unsigned num;
	} kinds[MOMENTS_NUM];
};

void moments_init(struct moments *moments, unsigned num_members);
void moments_done(struct moments *moments);
/* Forgets what was before since_ms, also for events that have come since. */
void moments_since(struct moments *moments, enum moment kind, uint64_t since_ms);
void moments_note(struct moments *moments, enum moment kind, unsigned member, uint64_t now_ms);
unsigned moments_num(const struct moments *moments, enum moment kind); /* that had it since */
/* Each hundredth part, from the least (0) to the most (100), in milliseconds since then; of those that had it. */
void moments_hundredths(const struct moments *moments, enum moment kind, uint64_t out[101]);

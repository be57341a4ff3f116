/* Buffered ciphertext input. One recv(2) fills the thread's shared area; bytes that BoringSSL has not consumed stay
 * there until another session uses the area, and then move to the session's own memory. */
#pragma once

#include "base/tls/scratch.h"
#include <stdbool.h>

struct input {
	struct scratch_owner owner;
	struct tls_scratch *scratch;
	const uint8_t *at; /* unread bytes: in the scratch area or in `evicted` */
	size_t len;
	uint8_t *evicted; /* NULL while they are in the area */
	int errnum;       /* of the failed recv(2), 0: none */
	bool is_drained;  /* the last recv(2) did not fill the area */
	bool is_eof;
};

enum input_status { INPUT_BYTES, INPUT_WOULD_BLOCK, INPUT_EOF, INPUT_BROKEN };

void input_init(struct input *input, struct tls_scratch *scratch);
void input_done(struct input *input);

/* Reads up to cap bytes. Once drained, it does not call recv(2) again until input_rearm() at the start of the next call
 * of the session: the level-triggered watcher reports further bytes. This saves a system call per round. */
enum input_status input_read(struct input *input, int fd, uint8_t *to, size_t cap, size_t *out_len);

/* No unread bytes, and the kernel had no more. */
static inline bool input_is_dry(const struct input *input)
{
	return input->len == 0 && input->is_drained;
}

static inline void input_rearm(struct input *input)
{
	input->is_drained = false;
}

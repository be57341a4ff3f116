/* Ciphertext on its way in. One recv(2) takes all that fits the thread's shared area; what the TLS library has not
 * taken yet stays there until another session needs the area, and only then moves to memory of this session's own. */
#pragma once

#include "base/tls/scratch.h"
#include <stdbool.h>

struct input {
	struct scratch_owner holder;
	struct tls_scratch *scratch;
	const uint8_t *at; /* unread bytes: in the scratch area or in `kept` */
	size_t len;
	uint8_t *kept;   /* NULL while they are in the area */
	int errnum;      /* of the failed recv(2), 0: none */
	bool is_drained; /* the last recv(2) did not fill the area */
	bool is_eof;
};

enum input_status { INPUT_BYTES, INPUT_WOULD_BLOCK, INPUT_EOF, INPUT_BROKEN };

void input_init(struct input *input, struct tls_scratch *scratch);
void input_done(struct input *input);

/* Up to cap bytes. Once drained, the kernel is not asked again until input_rearm() at the start of the next call from
 * above: the watcher is level-triggered and says so if there is more, which saves a system call a round. */
enum input_status input_read(struct input *input, int fd, uint8_t *to, size_t cap, size_t *out_len);

/* Nothing unread, and the kernel had no more. */
static inline bool input_is_dry(const struct input *input)
{
	return input->len == 0 && input->is_drained;
}

static inline void input_rearm(struct input *input)
{
	input->is_drained = false;
}

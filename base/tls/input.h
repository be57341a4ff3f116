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
	bool awaits_hello;    /* of a server: change_cipher_spec is dropped until it comes */
	uint8_t num_matched;  /* bytes of a change_cipher_spec that has come in part */
	uint16_t num_changes; /* dropped */
};

/* RFC 8446 5: from the first ClientHello on a change_cipher_spec without encryption is dropped; a server may send it at
 * any time. BoringSSL drops it after the ServerHello alone. A control plane sends it to a client that waits for its
 * turn (decision 079). */
#define CHANGE_CIPHER_SPEC "\x14\x03\x03\x00\x01\x01"
enum { CHANGES_MAX = 1024 }; /* a server that sends nothing else */

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

/* Nothing can have come yet: no recv(2) until input_rearm(). */
static inline void input_hold(struct input *input)
{
	input->is_drained = true;
}

#include "base/tls/input.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void keep_rest(struct scratch_owner *owner)
{
	struct input *input = container_of(owner, struct input, owner);
	CHECK(input->evicted == NULL && input->len > 0); /* the area is held for unread bytes only */
	input->evicted = mem_dup(input->at, input->len);
	input->at = input->evicted;
}

void input_init(struct input *input, struct tls_scratch *scratch)
{
	*input = (struct input){.owner = {keep_rest}, .scratch = scratch};
}

void input_done(struct input *input)
{
	scratch_release(input->scratch, &input->owner);
	mem_free(input->evicted);
	input->evicted = NULL;
	input->len = 0;
}

static void empty(struct input *input)
{
	scratch_release(input->scratch, &input->owner);
	mem_free(TAKE_PTR(input->evicted));
	input->at = NULL;
}

/* False: bytes that no server sends before its hello. */
static bool drop_changes(struct input *input)
{
	static const uint8_t change[] = CHANGE_CIPHER_SPEC;
	while (input->awaits_hello && input->len > 0) {
		if (*input->at != change[input->num_matched]) {
			input->awaits_hello = false;
			return input->num_matched == 0;
		}
		input->at++;
		input->len--;
		input->num_matched = (uint8_t)((input->num_matched + 1u) % (sizeof change - 1));
		if (input->num_matched == 0 && ++input->num_changes > CHANGES_MAX)
			return false;
	}
	return true;
}

static enum input_status fill(struct input *input, int fd)
{
	if (input->is_eof)
		return INPUT_EOF;
	if (input->errnum != 0)
		return INPUT_BROKEN;
	if (input->is_drained)
		return INPUT_WOULD_BLOCK;
	CHECK(input->len == 0 && input->evicted == NULL);
	uint8_t *area = scratch_claim(input->scratch, &input->owner);
	ssize_t got;
	do {
		got = recv(fd, area, SCRATCH_INPUT_LEN, 0);
	} while (got < 0 && errno == EINTR);
	if (got > 0) {
		input->at = area;
		input->len = (size_t)got;
		input->is_drained = got < SCRATCH_INPUT_LEN;
		if (!drop_changes(input)) {
			input->len = 0;
			empty(input);
			input->errnum = EPROTO;
			return INPUT_BROKEN;
		}
		if (input->len > 0)
			return INPUT_BYTES;
		empty(input);
		return INPUT_WOULD_BLOCK; /* the level-triggered watcher reports further bytes */
	}
	int errnum = errno;
	scratch_release(input->scratch, &input->owner);
	if (got == 0) {
		input->is_eof = true;
		return INPUT_EOF;
	}
	if (errnum == EAGAIN || errnum == EWOULDBLOCK)
		return INPUT_WOULD_BLOCK;
	input->errnum = errnum;
	return INPUT_BROKEN;
}

enum input_status input_read(struct input *input, int fd, uint8_t *to, size_t cap, size_t *out_len)
{
	CHECK(cap > 0);
	if (input->len == 0) {
		enum input_status status = fill(input, fd);
		if (status != INPUT_BYTES)
			return status;
	}
	size_t len = input->len < cap ? input->len : cap;
	memcpy(to, input->at, len);
	input->at += len;
	input->len -= len;
	if (input->len == 0)
		empty(input);
	*out_len = len;
	return INPUT_BYTES;
}

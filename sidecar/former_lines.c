#include "sidecar/former_lines.h"

#include "base/core/mem.h"
#include "base/core/number.h"

static const char modes_word[] = "modes", former_word[] = "former";

struct words {
	struct span rest;
	bool is_wrong;
};

static struct span next_word(struct words *words, char end)
{
	const uint8_t *at = words->rest.len == 0 ? NULL : memchr(words->rest.ptr, end, words->rest.len);
	size_t len = at == NULL ? words->rest.len : (size_t)(at - words->rest.ptr);
	struct span word = span_of(words->rest.ptr, len);
	words->rest = span_from(words->rest, at == NULL ? len : len + 1);
	return word;
}

static uint64_t next_number(struct words *words, char end, uint64_t max)
{
	uint64_t number = 0;
	if (number_parse(next_word(words, end), max, &number) != ERR_NONE) {
		words->is_wrong = true;
		return 0;
	}
	return number;
}

static struct words words_after(struct span line, const char *first)
{
	struct words words = {.rest = line};
	words.is_wrong = !span_eq(next_word(&words, ' '), span_of_str(first));
	return words;
}

static enum err result_of(const struct words *words)
{
	return words->is_wrong || words->rest.len > 0 ? ERR_MALFORMED : ERR_NONE;
}

enum err modes_line_encode(const struct modes_line *modes, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "%s %u %u", modes_word, (unsigned)modes->inbound, (unsigned)modes->outbound));
	for (size_t i = 0; i < modes->num_ports; i++)
		RETURN_IF_ERR(buf_printf(out, " %u:%u", modes->ports[i].port, (unsigned)modes->ports[i].mode));
	return buf_append_str(out, "\n");
}

enum err modes_line_parse(struct span line, struct modes_line *out)
{
	struct words words = words_after(line, modes_word);
	struct modes_line modes = {.num_ports = 0};
	modes.inbound = (enum inbound_mode)next_number(&words, ' ', INBOUND_STRICT);
	modes.outbound = (enum outbound_mode)next_number(&words, ' ', OUTBOUND_REQUIRE);
	_cleanup_(mem_freep) struct policy_port *ports = mem_calloc(words.rest.len + 1, sizeof(*ports));
	while (words.rest.len > 0 && !words.is_wrong) {
		struct policy_port *port = &ports[modes.num_ports++];
		port->port = (uint16_t)next_number(&words, ':', UINT16_MAX);
		port->mode = (enum inbound_mode)next_number(&words, ' ', INBOUND_STRICT);
	}
	RETURN_IF_ERR(result_of(&words));
	*out = modes;
	out->ports = TAKE_PTR(ports);
	return ERR_NONE;
}

enum err former_line_encode(const struct former_line *former, struct buf *out)
{
	return buf_printf(out, "%s %lld %llu %lld\n", former_word, (long long)former->pid,
		(unsigned long long)former->num_connections, (long long)former->until_s);
}

enum err former_line_parse(struct span line, struct former_line *out)
{
	struct words words = words_after(line, former_word);
	struct former_line former;
	former.pid = (pid_t)next_number(&words, ' ', INT32_MAX);
	former.num_connections = next_number(&words, ' ', UINT32_MAX);
	former.until_s = (int64_t)next_number(&words, ' ', UINT32_MAX);
	RETURN_IF_ERR(result_of(&words));
	*out = former;
	return ERR_NONE;
}

struct span first_line_of(const struct buf *buf)
{
	struct span all = buf_span(buf);
	const uint8_t *end = all.len == 0 ? NULL : memchr(all.ptr, '\n', all.len);
	return end == NULL ? (struct span){0} : span_of(all.ptr, (size_t)(end - all.ptr));
}

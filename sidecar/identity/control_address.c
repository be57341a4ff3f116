#include "sidecar/identity/control_address.h"

#include "base/core/check.h"
#include "base/core/mem.h"

static enum err bad_address(const char *text, struct why *why)
{
	return why_set(why, ERR_CONFIG,
		"an address and port such as 192.0.2.1:15012, one of each family, or control.example:15012",
		"correct control.address", "control.address is '%s'", text);
}

/* "name:port": the port is parsed like that of an address. */
static enum err parse_name(struct span entry, struct control_address *out)
{
	const char *text = (const char *)entry.ptr, *colon = memrchr(text, ':', entry.len);
	struct addr as_address;
	if (colon == NULL || colon == text || memchr(text, ':', (size_t)(colon - text)) != NULL)
		return ERR_MALFORMED;
	_cleanup_(mem_freep) char *port = mem_printf("0.0.0.0%.*s", (int)(entry.len - (size_t)(colon - text)), colon);
	RETURN_IF_ERR(addr_parse(span_of_str(port), &as_address));
	out->host = mem_printf("%.*s", (int)(colon - text), text);
	out->port = as_address.port;
	return ERR_NONE;
}

/* A name is the only entry, since it may have addresses of both families. */
static enum err add(struct control_address *out, struct span entry)
{
	struct addr addr;
	if (addr_parse(entry, &addr) != ERR_NONE)
		return out->num > 0 || out->host != NULL ? ERR_MALFORMED : parse_name(entry, out);
	CHECK(out->num <= 2);
	if (out->host != NULL || out->num == 2 || (out->num == 1 && out->own[0].ip.family == addr.ip.family))
		return ERR_MALFORMED;
	out->own[out->num++] = addr;
	return ERR_NONE;
}

static struct span trim(const char *from, const char *end)
{
	while (from < end && *from == ' ')
		from++;
	while (from < end && end[-1] == ' ')
		end--;
	return span_of(from, (size_t)(end - from));
}

enum err control_address_parse(const char *text, struct control_address *out, struct why *why)
{
	struct control_address found = {0};
	enum err err = ERR_NONE;
	for (const char *from = text; err == ERR_NONE; from++) {
		const char *comma = strchrnul(from, ',');
		err = add(&found, trim(from, comma));
		from = comma;
		if (*from == '\0')
			break;
	}
	if (err != ERR_NONE) {
		control_address_done(&found);
		return bad_address(text, why);
	}
	*out = found;
	return ERR_NONE;
}

void control_address_done(struct control_address *address)
{
	mem_free(address->host);
	address->host = NULL;
}

static void take_family(const struct ip_addr *ips, size_t num, uint8_t family, unsigned turn, struct dial_sequence *out)
{
	size_t of_family = 0;
	for (size_t i = 0; i < num; i++)
		of_family += ips[i].family == family;
	size_t skip = of_family == 0 ? 0 : turn % of_family;
	for (size_t i = 0; i < num; i++)
		if (ips[i].family == family && skip-- == 0) {
			out->ips[out->num++] = ips[i];
			return;
		}
}

void dial_sequence_make(const struct ip_addr *ips, size_t num, uint8_t only, uint8_t preferred, unsigned turn,
	struct dial_sequence *out)
{
	*out = (struct dial_sequence){.num = 0};
	if (num == 0)
		return;
	uint8_t first = only != 0 ? only : preferred != 0 ? preferred : ips[0].family;
	take_family(ips, num, first, turn, out);
	if (only == 0)
		take_family(ips, num, first == AF_INET ? AF_INET6 : AF_INET, turn, out);
	CHECK(out->num <= sizeof(out->ips) / sizeof(*out->ips));
}

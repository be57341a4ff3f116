#include "sidecar/identity/control_address.h"

#include "base/core/check.h"
#include "base/core/mem.h"

#define UNIX_PREFIX "unix:"

enum { UNIX_PATH_MAX_LEN = 107 };

static enum err bad_address(const char *text, struct why *why)
{
	return why_set(why, ERR_CONFIG,
		"addresses with ports such as 192.0.2.1:15012, at most 16 and each once, control.example:15012, or "
		"unix:/PATH",
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
		return out->num > 0 || out->host != NULL || out->unix_path != NULL ? ERR_MALFORMED
										   : parse_name(entry, out);
	CHECK(out->num <= CONTROL_ADDRESSES_MAX);
	if (out->host != NULL || out->num == CONTROL_ADDRESSES_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < out->num; i++) /* its port is found by its IP address */
		if (ip_addr_eq(&out->own[i].ip, &addr.ip))
			return ERR_MALFORMED;
	out->own[out->num++] = addr;
	return ERR_NONE;
}

/* The path ends at a comma; *text is what follows it, or NULL. */
static enum err take_unix(const char **text, struct control_address *out)
{
	const char *path = *text + strlen(UNIX_PREFIX), *comma = strchrnul(path, ',');
	size_t len = (size_t)(comma - path);
	if (path[0] != '/' || len < 2 || len > UNIX_PATH_MAX_LEN)
		return ERR_MALFORMED;
	out->unix_path = mem_printf("%.*s", (int)len, path);
	*text = *comma == '\0' ? NULL : comma + 1;
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
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		err = take_unix(&text, &found);
	for (const char *from = text; err == ERR_NONE && from != NULL; from++) {
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
	mem_free(address->unix_path);
	address->host = NULL;
	address->unix_path = NULL;
}

const char *control_address_name(
	const struct control_address *address, const struct addr *dialed, char text[ADDR_TEXT_MAX])
{
	return dialed->ip.family == 0 && address->unix_path != NULL ? address->unix_path : addr_format(dialed, text);
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

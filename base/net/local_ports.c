#include "base/net/local_ports.h"
#include "base/core/check.h"
#include "base/core/number.h"

#include "base/net/fd.h"

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"

static uint32_t take_number(struct span *text)
{
	size_t at = 0;
	while (at < text->len && (text->ptr[at] < '0' || text->ptr[at] > '9'))
		at++;
	*text = span_from(*text, at);
	return (uint32_t)number_take(text, UINT16_MAX + 1);
}

void local_ports_init(struct local_ports *ports, uint32_t start)
{
	_cleanup_(buf_done) struct buf file = BUF_INIT(64);
	*ports = (struct local_ports){.last = 0};
	if (fd_read_file(RANGE_FILE, 63, &file, NULL) != ERR_NONE)
		return;
	struct span text = buf_span(&file); /* "32768	60999" */
	uint32_t first = take_number(&text), last = take_number(&text);
	if (first == 0 || first > last || last > UINT16_MAX)
		return;
	ports->first = (uint16_t)first;
	ports->last = (uint16_t)last;
	ports->at = (uint16_t)(first + start % (1 + last - first));
}

uint32_t local_ports_window(const struct local_ports *ports)
{
	if (ports->last == 0)
		return 0;
	CHECK(ports->first <= ports->at && ports->at <= ports->last);
	uint32_t end = ports->at + LOCAL_PORTS_WINDOW - 1U;
	return (end < ports->last ? end : ports->last) << 16 | ports->at;
}

static void go_on(struct local_ports *ports, uint32_t by)
{
	CHECK(ports->last != 0); /* without a range there is no window to move */
	uint32_t next = ports->at + by;
	ports->at = next <= ports->last ? (uint16_t)next : ports->first;
}

void local_ports_step(struct local_ports *ports)
{
	go_on(ports, LOCAL_PORTS_STEP);
}

void local_ports_move(struct local_ports *ports)
{
	go_on(ports, LOCAL_PORTS_WINDOW);
}

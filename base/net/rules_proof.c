#include "base/net/rules_proof.h"
#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns 0, or the errno: that of a datagram that is dropped on its way out is EPERM. It has no content. */
static int send_to(int fd, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);
	/* Not routed: without the address on lo it would leave by the default route. */
	return sendto(fd, "", 0, MSG_DONTROUTE | MSG_DONTWAIT, (const struct sockaddr *)&sa, len) == 0 ? 0 : errno;
}

static int bind_to(int fd, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);
	return bind(fd, (const struct sockaddr *)&sa, len) == 0 ? 0 : errno;
}

static bool is_no_address(int errnum)
{
	return errnum == EADDRNOTAVAIL || errnum == ENETUNREACH || errnum == EHOSTUNREACH;
}

/* The second socket is there for comparison: it gets a datagram if nothing but the rule stops any. */
enum rules_proof rules_proof_ask(void)
{
	_cleanup_fd_ int fd = -1, other_fd = -1;
	struct addr at = {0}, other = {0};
	enum err err = ip_addr_parse(SPAN_LITERAL(RULES_PROOF_IP), &at.ip);
	CHECK(err == ERR_NONE);
	if (fd_socket(AF_INET, SOCK_DGRAM, &fd) != ERR_NONE || fd_socket(AF_INET, SOCK_DGRAM, &other_fd) != ERR_NONE)
		return RULES_PROOF_UNKNOWN;
	int errnum = bind_to(fd, &at);
	if (errnum == 0)
		errnum = bind_to(other_fd, &at);
	if (errnum == 0 && socket_local_addr(other_fd, &other) == ERR_NONE)
		errnum = send_to(fd, &other);
	if (errnum != 0 || other.port == 0)
		return is_no_address(errnum) ? RULES_PROOF_MISSING : RULES_PROOF_UNKNOWN;
	at.port = RULES_PROOF_PORT;
	errnum = send_to(fd, &at);
	if (errnum == EPERM)
		return RULES_PROOF_GIVEN;
	return errnum == 0 ? RULES_PROOF_MISSING : RULES_PROOF_UNKNOWN;
}

bool rules_proof_is_exempt(void)
{
	return geteuid() == FIXED_ID && getegid() == FIXED_ID;
}

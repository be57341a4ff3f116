#include "base/net/tcp_table.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 16 * 1024, TABLE_MAX = 64 * 1024 * 1024, KEY_MAX = 64, FIELDS_BEFORE_USER = 3 };

int tcp_table_open(void)
{
	return open("/proc/self/net/tcp", O_RDONLY | O_CLOEXEC);
}

static uint32_t word_of(const struct ip_addr *ip)
{
	uint32_t word;
	memcpy(&word, ip->bytes, sizeof word); /* the kernel prints the address as a number of this machine */
	return word;
}

/* As it is in a line: ": local remote state ", both with their port; 01 is ESTABLISHED. */
static void format_key(const struct addr *near, const struct addr *far, char out[KEY_MAX])
{
	snprintf(out, KEY_MAX, ": %08X:%04X %08X:%04X 01 ", word_of(&near->ip), near->port, word_of(&far->ip),
		far->port);
}

/* The fields behind the state: tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode. An inode 0: no process holds
 * the socket any more, and its user is not known. */
static bool read_user(const char *rest, uid_t *out)
{
	char *end;
	for (unsigned i = 0; i < FIELDS_BEFORE_USER; i++) {
		rest += strspn(rest, " ");
		rest += strcspn(rest, " ");
	}
	unsigned long long uid = strtoull(rest, &end, 10);
	if (end == rest)
		return false;
	rest = end;
	(void)strtoull(rest, &end, 10); /* timeout */
	unsigned long long inode = strtoull(end, &end, 10);
	*out = (uid_t)uid;
	return inode != 0;
}

/* `text` ends with a whole line. */
static bool find(const char *text, const char *key, uid_t *out)
{
	const char *at = strstr(text, key);
	return at != NULL && read_user(at + strlen(key), out);
}

static bool look(int fd, const char *key, uid_t *out)
{
	char text[CHUNK + 1];
	size_t kept = 0;
	for (off_t at = 0; at < TABLE_MAX;) {
		ssize_t len = pread(fd, text + kept, CHUNK - kept, at);
		if (len <= 0)
			return false;
		at += len;
		text[kept + (size_t)len] = '\0';
		char *last = strrchr(text, '\n');
		if (last == NULL)
			return false; /* no table: its lines have 150 bytes */
		*last = '\0';
		if (find(text, key, out))
			return true;
		kept = strlen(last + 1);
		memmove(text, last + 1, kept);
	}
	return false;
}

/* A socket that its process closes leaves ESTABLISHED before it loses its user, and is then shown with that of root. So
 * what the first look has found is true if the second one finds the socket in that state still. */
enum err tcp_table_user(int table_fd, const struct addr *near, const struct addr *far, uid_t *out)
{
	char key[KEY_MAX];
	uid_t again;
	if (table_fd < 0 || near->ip.family != AF_INET || far->ip.family != AF_INET)
		return ERR_UNSUPPORTED;
	format_key(near, far, key);
	return look(table_fd, key, out) && look(table_fd, key, &again) && again == *out ? ERR_NONE : ERR_NOT_FOUND;
}

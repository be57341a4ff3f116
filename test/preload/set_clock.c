/* Preloaded into a program that is linked dynamically: adds offsets from a file to its wall clock and to the clock that
 * includes suspend, so that a story can set them. The file is mapped once, before the program gives up its privileges:
 * two 64-bit numbers, the milliseconds for CLOCK_REALTIME and for CLOCK_BOOTTIME. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offsets; /* of the process, written by the story; NULL: none */

__attribute__((constructor)) static void map_offsets(void)
{
	const char *path = getenv("SET_CLOCK_FILE");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	offsets = mapped == MAP_FAILED ? NULL : mapped;
}

static int64_t offset_of(clockid_t id)
{
	if (offsets == NULL || (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME))
		return 0;
	return offsets[id == CLOCK_BOOTTIME];
}

int clock_gettime(clockid_t id, struct timespec *out)
{
	int (*real)(clockid_t, struct timespec *);
	*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(id, out);
	int64_t offset = offset_of(id);
	out->tv_sec += offset / 1000;
	out->tv_nsec += offset % 1000 * 1000000;
	if (out->tv_nsec >= 1000000000) {
		out->tv_sec++;
		out->tv_nsec -= 1000000000;
	} else if (out->tv_nsec < 0) {
		out->tv_sec--;
		out->tv_nsec += 1000000000;
	}
	return result;
}

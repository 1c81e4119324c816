/*
 * test/torture/clock.c
 *
 * A library for LD_PRELOAD that moves the wall clock of a whole server, while
 * it runs.  The offset in nanoseconds is the first eight bytes of the file
 * that $TORTURE_CLOCK names.  Every process maps this file, so a step reaches
 * all of them at the same moment.  The monotonic clock, timers and sleeps are
 * left alone, as they are when somebody sets the clock of a machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000L

static const volatile int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
prepare(void)
{
	const char *path = getenv("TORTURE_CLOCK");
	int file = path == NULL ? -1 : open(path, O_RDONLY);
	void *map;

	real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	if (file < 0)
		return;
	map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (map != MAP_FAILED)
		offset = map;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ns;

	/* Another library's constructor may be earlier than ours. */
	if (real_clock_gettime == NULL)
		prepare();
	if (real_clock_gettime(clock, now) != 0)
		return -1;
	if (offset == NULL || clock != CLOCK_REALTIME)
		return 0;
	ns = now->tv_nsec + *offset % NS_PER_S;
	now->tv_sec += *offset / NS_PER_S;
	if (ns < 0)
		now->tv_sec--;
	else if (ns >= NS_PER_S)
		now->tv_sec++;
	now->tv_nsec = (ns + NS_PER_S) % NS_PER_S;
	return 0;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
		return -1;
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec precise;

	if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
		return -1;
	if (now != NULL)
		*now = precise.tv_sec;
	return precise.tv_sec;
}

/*
 * Preloaded into a server, makes reads or writes of some files fail.
 *
 * While the file exists that the environment's DISK_ERRORS names, it says
 * which: "read EIO base/5/16384", or "write ENOSPC pg_wal".  The last word is
 * a part of the path.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int
must_fail(const char *operation, int fd)
{
	const char *orders_path = getenv("DISK_ERRORS");
	char orders[512], wanted[8], error[8], part[256], link[64], path[4096];
	ssize_t length;
	int orders_fd = orders_path ? open(orders_path, O_RDONLY | O_CLOEXEC) : -1;

	if (orders_fd < 0)
		return 0;
	length = read(orders_fd, orders, sizeof(orders) - 1);
	close(orders_fd);
	if (length <= 0)
		return 0;
	orders[length] = '\0';
	if (sscanf(orders, "%7s %7s %255s", wanted, error, part) != 3 ||
		strcmp(wanted, operation) != 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length <= 0)
		return 0;
	path[length] = '\0';
	if (strstr(path, part) == NULL)
		return 0;
	return strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
}

#define FAILING(operation, type, name, parameters, ...) \
	type name parameters \
	{ \
		static type (*next) parameters = NULL; \
		int saved = errno; \
		int error = must_fail(operation, fd); \
		if (error != 0) \
		{ \
			errno = error; \
			return -1; \
		} \
		if (next == NULL) \
			next = (type (*) parameters) dlsym(RTLD_NEXT, #name); \
		errno = saved; \
		return next(__VA_ARGS__); \
	}

FAILING("read", ssize_t, pread, (int fd, void *buffer, size_t n, off_t at), fd, buffer, n, at)
FAILING("read", ssize_t, pread64, (int fd, void *buffer, size_t n, off64_t at), fd, buffer, n, at)
FAILING("read", ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t at), fd, v, n, at)
FAILING("read", ssize_t, preadv64, (int fd, const struct iovec *v, int n, off64_t at), fd, v, n, at)
FAILING("write", ssize_t, pwrite, (int fd, const void *buffer, size_t n, off_t at), fd, buffer, n, at)
FAILING("write", ssize_t, pwrite64, (int fd, const void *buffer, size_t n, off64_t at), fd, buffer, n, at)
FAILING("write", ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), fd, v, n, at)
FAILING("write", ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at), fd, v, n, at)

/* These return the error. */
int
posix_fallocate(int fd, off_t at, off_t length)
{
	int error = must_fail("write", fd);

	return error != 0 ? error : fallocate(fd, 0, at, length) == 0 ? 0 : errno;
}

int
posix_fallocate64(int fd, off64_t at, off64_t length)
{
	return posix_fallocate(fd, at, length);
}

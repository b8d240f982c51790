/* Files of which nothing is to be left: opened and unlinked at once, read and written anywhere. Blocking. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/alloc.h"
#include "server/io.h"

struct io_scratch {
    int fd;
};

int io_scratch_open(const char *path, struct io_scratch **ret_scratch)
{
    (void)unlink(path); /* left by one that died in between */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    struct io_scratch *s = mem_alloc(sizeof(*s));
    s->fd = fd;
    *ret_scratch = s;
    return 0;
}

int io_scratch_write(struct io_scratch *s, uint64_t at, struct bytes b)
{
    while (b.n) {
        ssize_t n = pwrite(s->fd, b.p, b.n, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        b = bytes_of(b.p + n, b.n - (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

int io_scratch_read(struct io_scratch *s, uint64_t at, char *dst, size_t n)
{
    while (n) {
        ssize_t k = pread(s->fd, dst, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k < 0 ? -errno : -EIO; /* short */
        dst += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return 0;
}

void io_scratch_close(struct io_scratch *s)
{
    if (!s)
        return;
    (void)close(s->fd);
    mem_free(s);
}

/* Files that belong to one process at a time (nodes.conf): locked as long as we live, replaced while locked.
 *
 * The lock (flock) is on the inode that the path names. A replacement is locked before it gets the name, so the path
 * always names something that we hold. Who opened the old file before it was replaced finds, after it got the lock,
 * that the path means another file by now, and tries again. */
#include "server/loop/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "server/loop/files.h"

struct io_lock {
    char *path;
    int fd;
    struct io_lock *next;
};

static struct io_lock *locks; /* of the process: a child lets go of them */

static bool still_named(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_locked(const char *path)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int r = -errno;
            (void)close(fd);
            return r;
        }
        if (still_named(fd, path))
            return fd;
        (void)close(fd);
    }
}

int io_lock_file(const char *path, struct io_lock **ret_lock)
{
    int fd = open_locked(path);
    if (fd < 0)
        return fd;
    struct io_lock *l = mem_zalloc(sizeof(*l));
    l->path = mem_strdup(path);
    l->fd = fd;
    l->next = locks;
    locks = l;
    *ret_lock = l;
    return 0;
}

static int fill(int fd, struct bytes content, bool durable)
{
    int r = file_write_all(fd, content);
    if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = -errno;
    if (r == 0 && durable && fsync(fd) < 0)
        r = -errno;
    return r;
}

int io_lock_replace(struct io_lock *l, struct bytes content, bool durable)
{
    char beside[4096];
    if ((size_t)snprintf(beside, sizeof(beside), "%s.%ld.tmp", l->path, (long)getpid()) >= sizeof(beside))
        return -ENAMETOOLONG;
    (void)unlink(beside); /* left by a process of the same number that died while writing */
    int fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = fill(fd, content, durable);
    if (r == 0 && rename(beside, l->path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(beside);
        (void)close(fd);
        return r;
    }
    (void)close(l->fd);
    l->fd = fd;
    return durable ? file_sync_folder(l->path) : 0;
}

void io_lock_free(struct io_lock *l)
{
    if (!l)
        return;
    for (struct io_lock **p = &locks; *p; p = &(*p)->next) {
        if (*p == l) {
            *p = l->next;
            break;
        }
    }
    (void)close(l->fd);
    mem_free(l->path);
    mem_free(l);
}

void locks_child_close(void)
{
    for (struct io_lock *l = locks; l; l = l->next)
        (void)close(l->fd);
}

/* Files: small ones whole, read at once or replaced atomically; large ones a piece at a time. Blocking. */
#include "server/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "server/loop/files.h"

static int read_all(int fd, size_t max, struct buf *b)
{
    for (;;) {
        size_t n = 64 * 1024;
        if (b->n >= max) { /* one byte more tells "exactly max" from "too much" */
            char extra;
            ssize_t k = read(fd, &extra, 1);
            if (k < 0 && errno == EINTR)
                continue;
            return k < 0 ? -errno : k == 0 ? 0 : -EFBIG;
        }
        if (n > max - b->n)
            n = max - b->n;
        if (buf_reserve(b, n) < 0)
            return -EFBIG;
        ssize_t k = read(fd, b->p + b->n, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            return 0;
        b->n += (size_t)k;
    }
}

int io_read_file(const char *path, size_t max, struct buf *ret_bytes)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct buf b = BUF_INIT(max < BUF_UNLIMITED ? max : BUF_UNLIMITED);
    int r = read_all(fd, b.max, &b);
    if (!is_stdin)
        (void)close(fd);
    if (r < 0) {
        buf_done(&b);
        return r;
    }
    *ret_bytes = b;
    return 0;
}

int file_write_all(int fd, struct bytes b)
{
    while (b.n) {
        ssize_t k = write(fd, b.p, b.n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        b.p += k;
        b.n -= (size_t)k;
    }
    return 0;
}

/* Creates the file, which must not exist, with all its bytes on the disk. */
static int write_new(const char *path, struct bytes content, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = file_write_all(fd, content);
    if (r == 0 && fchmod(fd, (mode_t)mode) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        (void)unlink(path);
    return r;
}

int file_sync_folder(const char *path)
{
    char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(folder);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return r == -EINVAL ? 0 : r; /* some file systems do not sync folders */
}

int io_replace_file(const char *path, struct bytes content, unsigned mode)
{
    size_t n = strlen(path) + 48;
    char *beside = mem_alloc(n);
    (void)snprintf(beside, n, "%s.%ld.tmp", path, (long)getpid());
    (void)unlink(beside); /* left by a process of the same number that died while writing */
    int r = write_new(beside, content, mode);
    if (r == 0 && rename(beside, path) < 0) {
        r = -errno;
        (void)unlink(beside);
    }
    mem_free(beside);
    return r < 0 ? r : file_sync_folder(path);
}

int io_rename(const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : file_sync_folder(to);
}

int io_unlink(const char *path)
{
    return unlink(path) < 0 ? -errno : 0;
}

/* ---- large files ---- */

struct io_file {
    int fd;
    uint64_t size;         /* when it was opened */
    uint64_t done, synced; /* bytes written; handed on to the disk */
};

static int file_new(int fd, struct io_file **ret_file)
{
    struct stat st;
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    struct io_file *f = mem_zalloc(sizeof *f);
    f->fd = fd;
    f->size = (uint64_t)st.st_size;
    *ret_file = f;
    return 0;
}

int io_file_open(const char *path, struct io_file **ret_file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return file_new(fd, ret_file);
}

int io_file_create(const char *path, unsigned mode, struct io_file **ret_file)
{
    return file_new(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode), ret_file);
}

uint64_t io_file_size(const struct io_file *f)
{
    return f->size;
}

ssize_t io_file_read(struct io_file *f, void *dst, size_t n)
{
    ssize_t k;
    while ((k = read(f->fd, dst, n)) < 0 && errno == EINTR)
        ;
    return k < 0 ? -errno : k;
}

int io_file_write(struct io_file *f, struct bytes b)
{
    f->done += b.n;
    return file_write_all(f->fd, b);
}

void io_file_push(struct io_file *f)
{
    (void)sync_file_range(f->fd, (off_t)f->synced, (off_t)(f->done - f->synced), SYNC_FILE_RANGE_WRITE);
    f->synced = f->done;
}

int io_file_sync(struct io_file *f)
{
    return fsync(f->fd) < 0 ? -errno : 0;
}

int io_file_close(struct io_file *f)
{
    if (!f)
        return 0;
    int r = close(f->fd) < 0 ? -errno : 0;
    mem_free(f);
    return r;
}

/* Folders and names of files, for the configuration: `dir`, `include`, CONFIG REWRITE. */
#include <errno.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "server/io.h"

enum { PATH_BYTES_MAX = 64 * 1024 };

int io_chdir(const char *path)
{
    return chdir(path) < 0 ? -errno : 0;
}

int io_getcwd(struct buf *b)
{
    for (size_t n = 256; n <= PATH_BYTES_MAX; n *= 2) {
        if (buf_reserve(b, n) < 0)
            return -ENOMEM;
        if (getcwd(b->p + b->n, n)) {
            b->n += strlen(b->p + b->n);
            return 0;
        }
        if (errno != ERANGE)
            return -errno;
    }
    return -ENAMETOOLONG;
}

int io_file_mode(const char *path, unsigned *ret_mode)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    *ret_mode = st.st_mode & 07777;
    return 0;
}

static void add_path(struct io_paths *paths, const char *path)
{
    paths->v = mem_realloc(paths->v, (paths->n + 1) * sizeof(*paths->v));
    paths->v[paths->n++] = mem_strdup(path);
}

void io_glob(const char *pattern, struct io_paths *ret_paths)
{
    struct io_paths paths = { 0 };
    if (!strpbrk(pattern, "*?[")) {
        add_path(&paths, pattern);
        *ret_paths = paths;
        return;
    }
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            add_path(&paths, found.gl_pathv[i]);
        globfree(&found);
    }
    *ret_paths = paths;
}

void io_paths_done(struct io_paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        mem_free(paths->v[i]);
    mem_free(paths->v);
    *paths = (struct io_paths){ 0 };
}

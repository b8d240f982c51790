/* Settings of the allocator by name, for DEBUG MALLCTL (see alloc.h). */
#include "common/alloc.h"

#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"

#ifdef HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>

int mem_ctl_number(const char *name, const char *value, int64_t *ret_v)
{
    /* Numbers come in several sizes: the right one is the one that jemalloc takes. */
    static const size_t sizes[] = { 8, 4, 1 };
    uint64_t old = 0, given = value ? strtoull(value, NULL, 0) : 0;
    int r = EINVAL;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && r == EINVAL; i++) {
        size_t n = sizes[i];
        old = 0;
        r = mallctl(name, &old, &n, value ? &given : NULL, value ? sizes[i] : 0);
    }
    if (r == 0)
        *ret_v = (int64_t)old;
    return -r;
}

int mem_ctl_string(const char *name, const char *value, struct buf *ret_text)
{
    const char *old = NULL;
    size_t n = sizeof(old);
    int r = mallctl(name, &old, &n, value ? &value : NULL, value ? sizeof(value) : 0);
    if (r == 0 && old)
        buf_append_str(ret_text, old);
    return -r;
}
#else
int mem_ctl_number(const char *name, const char *value, int64_t *ret_v)
{
    (void)name;
    (void)value;
    (void)ret_v;
    return -ENOTSUP;
}

int mem_ctl_string(const char *name, const char *value, struct buf *ret_text)
{
    (void)name;
    (void)value;
    (void)ret_text;
    return -ENOTSUP;
}
#endif

/* Choosing an engine, and the one thing both do alike. */
#include "tools/bench/engine.h"

#include <errno.h>
#include <string.h>

int engine_open(enum engine_kind kind, const struct engine_config *config,
                const struct engine_ops **ret_ops, struct engine **ret_engine)
{
#ifdef HAVE_LIBURING
    if (kind != ENGINE_EPOLL) {
        int r = engine_uring.open(config, ret_engine);
        if (r == 0 || kind == ENGINE_URING) {
            *ret_ops = &engine_uring;
            return r;
        }
    }
#else
    if (kind == ENGINE_URING)
        return -ENOSYS;
#endif
    *ret_ops = &engine_epoll;
    return engine_epoll.open(config, ret_engine);
}

bool conn_sent(struct conn *c, size_t n)
{
    c->out_n -= n;
    if (c->out_n)
        memmove(c->out, c->out + n, c->out_n);
    return c->out_n > 0;
}

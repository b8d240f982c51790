/* What the io_uring backend and its probe share: the ring of provided buffers, filled by hand, as
 * liburing 2.3 has no call that sets one up. */
#pragma once

#include <liburing.h>
#include <stddef.h>

#define URING_BUF_GROUP 1

struct buf_ring {
    struct io_uring_buf_ring *ring; /* shared with the kernel; its own mapping */
    char *bufs;                     /* n buffers of `bytes` each; its own mapping */
    size_t bytes;
    unsigned n; /* a power of two */
    uint16_t tail;
};

/* Room for n buffers, the first n_offered of which are handed out. 0 or -errno. The memory of the
 * buffers is touched as they are used, and not inherited by forked children. */
int buf_ring_init(struct buf_ring *, struct io_uring *, unsigned n, size_t bytes,
                  unsigned n_offered);
void buf_ring_done(struct buf_ring *); /* after the io_uring is gone */

static inline char *buf_ring_at(const struct buf_ring *b, unsigned id)
{
    return b->bufs + (size_t)id * b->bytes;
}

/* Hands buffer `id` to the kernel with the next buf_ring_publish. */
static inline void buf_ring_put(struct buf_ring *b, unsigned id)
{
    struct io_uring_buf *slot = &b->ring->bufs[b->tail++ & (b->n - 1)];
    slot->addr =
        (__u64)(uintptr_t)buf_ring_at(b, id); /* not the whole struct: bufs[0].resv is the tail */
    slot->len = (__u32)b->bytes;
    slot->bid = (__u16)id;
}

static inline void buf_ring_publish(struct buf_ring *b)
{
    __atomic_store_n(&b->ring->tail, b->tail, __ATOMIC_RELEASE);
}

/* Sets up a ring with the best task-run flags this kernel takes. 0 or -errno. */
int uring_setup(struct io_uring *ret_ring, unsigned n_sq, unsigned n_cq, unsigned *ret_setup_flags);
/* io_uring_enter; timeout NULL = none. Returns like the system call, -errno on failure. */
int uring_enter(struct io_uring *, unsigned n_submit, unsigned n_wait,
                struct __kernel_timespec *timeout);
unsigned uring_flush_sq(
    struct io_uring *); /* shows new entries to the kernel; returns how many wait there */

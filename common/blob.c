/* Blobs, see blob.h: counted by plain integers, since only the loop's thread takes and drops
 * references.
 *
 * Freeing a block of megabytes unmaps pages, which stalls the loop for milliseconds, so blocks from
 * BLOB_LAZY on are queued for a thread that does nothing else. It starts with the first of them. A
 * forked child does not have it and frees by itself; it must not touch the lock either, which the
 * thread may have held at the fork. */
#include "common/blob.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/checked.h"

STATIC_ASSERT(BLOB_LAZY > BLOB_MIN, "small blobs are freed at once");

/* ---- the thread that frees ---- */

/* A queued blob's first bytes: its content is gone. */
struct queued {
    struct queued *next;
};
STATIC_ASSERT(sizeof(struct queued) <= sizeof(struct blob), "the link fits into a header");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct queued *queue; /* under the lock */
static enum { THREAD_NONE, THREAD_RUNS, THREAD_IMPOSSIBLE } thread_state; /* the loop's own */
static _Atomic size_t pending;
static _Atomic uint64_t freed;

static void *free_queued(void *unused)
{
    (void)unused;
    (void)prctl(PR_SET_NAME, "blob_free");
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!queue)
            pthread_cond_wait(&wanted, &lock);
        struct queued *q = queue;
        queue = NULL;
        pthread_mutex_unlock(&lock);
        while (q) {
            struct queued *next = q->next;
            mem_free(q);
            atomic_fetch_sub(&pending, 1);
            atomic_fetch_add(&freed, 1);
            q = next;
        }
    }
    return NULL;
}

static void forget_thread(void)
{
    thread_state = THREAD_IMPOSSIBLE;
    atomic_store(&pending, 0);
}

static bool start_thread(void)
{
    if (thread_state != THREAD_NONE)
        return thread_state == THREAD_RUNS;

    /* Signals are for the loop. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    bool ok = pthread_atfork(NULL, NULL, forget_thread) == 0 &&
              pthread_create(&thread, NULL, free_queued, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok)
        (void)pthread_detach(thread);
    thread_state = ok ? THREAD_RUNS : THREAD_IMPOSSIBLE;
    return ok;
}

static void free_lazily(struct blob *b)
{
    struct queued *q = (struct queued *)(void *)b;
    atomic_fetch_add(&pending, 1);
    pthread_mutex_lock(&lock);
    q->next = queue;
    queue = q;
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
}

size_t blob_lazy_pending(void)
{
    return atomic_load(&pending);
}

uint64_t blob_lazy_freed(void)
{
    return atomic_load(&freed);
}

void blob_lazy_reset(void)
{
    atomic_store(&freed, 0);
}

/* ---- blobs ---- */

/* Bytes to ask for; false when the size cannot be. *ret_cap is what then fits into data[]. */
static bool plan(size_t cap, size_t *ret_bytes, size_t *ret_cap)
{
    size_t bytes;
    if (!checked_add(sizeof(struct blob), cap, &bytes))
        return false;
    *ret_bytes = mem_good_size(bytes);
    *ret_cap = *ret_bytes - sizeof(struct blob);
    return true;
}

struct blob *blob_try_new(size_t n, size_t cap)
{
    ASSERT(n <= cap);
    size_t bytes, room;
    struct blob *b = plan(cap, &bytes, &room) ? mem_try_alloc(bytes) : NULL;
    if (b)
        *b = (struct blob){ .refs = 1, .n = n, .cap = room };
    return b;
}

struct blob *blob_new(size_t n, size_t cap)
{
    ASSERT(n <= cap);
    size_t bytes, room;
    if (!plan(cap, &bytes, &room))
        PANIC("a blob of %zu bytes", cap);
    struct blob *b = mem_alloc(bytes);
    *b = (struct blob){ .refs = 1, .n = n, .cap = room };
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    ASSERT(b->refs > 0);
    ASSERT(b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void blob_unref(struct blob *b)
{
    if (!b)
        return;
    ASSERT(b->refs > 0);
    if (--b->refs)
        return;
    if (b->cap >= BLOB_LAZY && start_thread())
        free_lazily(b);
    else
        mem_free(b);
}

struct blob *blob_writable(struct blob *b, size_t cap)
{
    if (cap < b->n)
        cap = b->n;
    if (b->refs == 1) {
        if (cap <= b->cap)
            return b;
        size_t bytes, room;
        struct blob *larger = plan(cap, &bytes, &room) ? mem_try_realloc(b, bytes) : NULL;
        if (larger)
            larger->cap = room;
        return larger;
    }
    struct blob *copy = blob_try_new(b->n, cap);
    if (!copy)
        return NULL;
    memcpy(copy->data, b->data, b->n);
    blob_unref(b);
    return copy;
}

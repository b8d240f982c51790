/* The general allocator: jemalloc's own interface with HAVE_JEMALLOC, else libc (sanitizer builds).
 *
 * Accounting counts what is really set aside, as Redis' used_memory does. The thread that runs
 * main() has a counter of its own, written with plain loads and stores; all other threads share a
 * second one with locked adds. A locked add costs about as much as a small allocation, and nearly
 * all allocations come from the loop's thread. The sum may be off for an instant while another
 * thread frees what the first has allocated, so it is clamped at zero.
 *
 * jemalloc tells the size of a request without looking at a block (nallocx), and frees faster when
 * told the size. */
#include "common/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>
#else
#include <malloc.h>
#endif

#include "common/assert.h"
#include "common/sanitize.h"
#include "common/slab.h"

#if WITH_ASAN
/* ASan reports larger ones as an error instead of returning NULL */
#define REQUEST_MAX ((size_t)1 << 36)
#else
#define REQUEST_MAX ((size_t)PTRDIFF_MAX)
#endif

static _Atomic int64_t main_bytes, other_bytes;
static _Thread_local bool is_main;
static _Atomic uint64_t fail_after;

__attribute__((constructor)) static void claim_main_counter(void)
{
    is_main = true;
}

void mem_account(int64_t delta)
{
    if (__builtin_expect(is_main, 1)) {
        int64_t v = atomic_load_explicit(&main_bytes, memory_order_relaxed);
        atomic_store_explicit(&main_bytes, v + delta, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&other_bytes, delta, memory_order_relaxed);
    }
}

size_t mem_used(void)
{
    int64_t sum = atomic_load_explicit(&main_bytes, memory_order_relaxed) +
                  atomic_load_explicit(&other_bytes, memory_order_relaxed);
    return (sum > 0 ? (size_t)sum : 0) + slab_used_bytes();
}

static _Noreturn void out_of_memory(size_t n)
{
    PANIC("out of memory allocating %zu bytes", n);
}

/* ---- the two allocators: raw_* account nothing and want n > 0 ---- */

#ifdef HAVE_JEMALLOC

static void *raw_alloc(size_t n, bool zero)
{
    return mallocx(n, zero ? MALLOCX_ZERO : 0);
}

static size_t raw_request_size(const void *p, size_t n)
{
    (void)p;
    return nallocx(n, 0);
}

static size_t raw_usable(const void *p)
{
    return sallocx((void *)p, 0);
}

static void *raw_realloc(void *p, size_t n)
{
    return rallocx(p, n, 0);
}

static void raw_free(void *p, size_t usable)
{
    sdallocx(p, usable, 0);
}

size_t mem_good_size(size_t n)
{
    size_t good = n ? nallocx(n, 0) : nallocx(1, 0);
    return good ? good : n; /* 0: more than can ever be had; let the allocation itself fail */
}

static size_t read_stat(const char *name)
{
    size_t value = 0, n = sizeof value;
    return mallctl(name, &value, &n, NULL, 0) == 0 ? value : 0;
}

void mem_stats_get(struct mem_stats *ret_stats)
{
    uint64_t epoch = 1;
    size_t n = sizeof epoch;
    (void)mallctl("epoch", &epoch, &n, &epoch, n); /* makes jemalloc gather its figures anew */
    *ret_stats = (struct mem_stats){
        .allocated = read_stat("stats.allocated"),
        .active = read_stat("stats.active"),
        .resident = read_stat("stats.resident"),
        .retained = read_stat("stats.retained"),
        .metadata = read_stat("stats.metadata"),
    };
}

#define TEXT_OF(x) #x
#define PURGE_NAME(all) "arena." TEXT_OF(all) ".purge"

void mem_purge(void)
{
    (void)mallctl(PURGE_NAME(MALLCTL_ARENAS_ALL), NULL, NULL, NULL, 0);
    (void)slab_release_empty();
}

#define VERSION_NAME(a, b, c) "jemalloc-" TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *mem_allocator_name(void)
{
    return VERSION_NAME(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

#else

static void *raw_alloc(size_t n, bool zero)
{
    return zero ? calloc(1, n) : malloc(n);
}

static size_t raw_usable(const void *p)
{
    return malloc_usable_size((void *)p);
}

static size_t raw_request_size(const void *p, size_t n)
{
    (void)n;
    return raw_usable(p);
}

static void *raw_realloc(void *p, size_t n)
{
    return realloc(p, n);
}

static void raw_free(void *p, size_t usable)
{
    (void)usable;
    free(p);
}

size_t mem_good_size(size_t n)
{
#if WITH_ASAN
    return n ? n : 1; /* to the byte, so that ASan sees overruns */
#else
    /* glibc: 16-byte steps, of which 8 bytes are its own, and at least 32 */
    if (n > REQUEST_MAX - 24)
        return n;
    return n <= 24 ? 24 : ((n + 8 + 15) & ~(size_t)15) - 8;
#endif
}

void mem_stats_get(struct mem_stats *ret_stats)
{
    *ret_stats = (struct mem_stats){ 0 };
}

void mem_purge(void)
{
    (void)malloc_trim(0);
    (void)slab_release_empty();
}

const char *mem_allocator_name(void)
{
    return "libc";
}

#endif

/* ---- accounting over either ---- */

static void *alloc_counted(size_t n, bool zero)
{
    if (n == 0)
        n = 1;
    void *p = __builtin_expect(n <= REQUEST_MAX, 1) ? raw_alloc(n, zero) : NULL;
    if (__builtin_expect(p != NULL, 1))
        mem_account((int64_t)raw_request_size(p, n));
    return p;
}

static void *realloc_counted(void *p, size_t n)
{
    if (!p)
        return alloc_counted(n, false);
    if (n == 0)
        n = 1;
    if (n > REQUEST_MAX)
        return NULL;
    int64_t before = (int64_t)raw_usable(p);
    void *q = raw_realloc(p, n);
    if (q)
        mem_account((int64_t)raw_usable(q) - before);
    return q;
}

void *mem_alloc(size_t n)
{
    void *p = alloc_counted(n, false);
    if (__builtin_expect(!p, 0))
        out_of_memory(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = alloc_counted(n, true);
    if (__builtin_expect(!p, 0))
        out_of_memory(n);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc_counted(p, n);
    if (__builtin_expect(!q, 0))
        out_of_memory(n);
    return q;
}

void mem_free(void *p)
{
    if (!p)
        return;
    size_t usable = raw_usable(p);
    mem_account(-(int64_t)usable);
    raw_free(p, usable);
}

/* Counts a try_ allocation down; true when this is the one that shall fail. */
static bool injected_failure(void)
{
    uint64_t left = atomic_load_explicit(&fail_after, memory_order_relaxed);
    if (__builtin_expect(left == 0, 1))
        return false;
    atomic_store_explicit(&fail_after, left - 1, memory_order_relaxed);
    return left == 1;
}

void mem_fail_after(uint64_t n)
{
    atomic_store_explicit(&fail_after, n, memory_order_relaxed);
}

void *mem_try_alloc(size_t n)
{
    return injected_failure() ? NULL : alloc_counted(n, false);
}

void *mem_try_realloc(void *p, size_t n)
{
    return injected_failure() ? NULL : realloc_counted(p, n);
}

void *mem_dup(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

size_t mem_usable(const void *p)
{
    return p ? raw_usable(p) : 0;
}

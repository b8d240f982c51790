/* The general allocator: jemalloc with accounting. Allocation does not fail: out of memory is a panic, but for
 * the try_ forms, used for sizes that a client chose (they return NULL and the client gets an error).
 *
 * Key entries and elements of collections come from common/slab.h instead. Both count into mem_used(), the
 * number behind `used_memory` and maxmemory. Thread safe; counters are summed with relaxed atomics. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_realloc(void *p, size_t n) __attribute__((alloc_size(2)));
void mem_free(void *p); /* NULL is fine */
void *mem_try_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_try_realloc(void *p, size_t n) __attribute__((alloc_size(2)));
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t n);

size_t mem_usable(const void *p); /* bytes really set aside for p */
size_t mem_good_size(size_t n);   /* bytes that would be set aside for a request of n */
size_t mem_used(void);            /* bytes handed out: this allocator and the slabs */
void mem_account(int64_t delta);  /* for allocators built on top (slabs, mappings) */

/* Fails the n-th try_ allocation from now on (0 = never): fault injection for tests. */
void mem_fail_after(uint64_t n);

/* What the allocator reports, for INFO memory and MEMORY STATS; all bytes; zeros without jemalloc. */
struct mem_stats {
    size_t allocated, active, resident, retained, metadata;
};
void mem_stats_get(struct mem_stats *ret_stats);
void mem_purge(void);             /* gives free pages back to the kernel */
const char *mem_allocator_name(void); /* "jemalloc-5.3.0" or "libc" */

/* Reads (value NULL) or sets a setting of the allocator by name ("arena.0.decay...", see jemalloc's mallctl): numbers
 * and texts. 0 or -errno; -ENOTSUP without jemalloc. For DEBUG MALLCTL. */
struct buf;
int mem_ctl_number(const char *name, const char *value, int64_t *ret_v);
int mem_ctl_string(const char *name, const char *value, struct buf *ret_text);

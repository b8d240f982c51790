/* Blobs: counted, immutable while shared, large ones freed elsewhere. */
#include "common/blob.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"

Test(blob, the_last_reference_frees)
{
    size_t before = mem_used();
    struct blob *b = blob_new(5, 100);
    cr_assert_geq(b->cap, 100);
    memcpy(b->data, "hello", 5);
    cr_assert_eq(blob_ref(b), b);
    blob_unref(b);
    cr_assert(bytes_eq(blob_bytes(b), BYTES("hello")));
    blob_unref(b);
    blob_unref(NULL);
    cr_assert_eq(mem_used(), before);
}

Test(blob, who_has_it_alone_may_write_in_place)
{
    struct blob *b = blob_new(3, 2000);
    memcpy(b->data, "abc", 3);
    cr_assert_eq(blob_writable(b, 1000), b);
    b = blob_writable(b, 100000);
    cr_assert_geq(b->cap, 100000);
    cr_assert_eq(b->refs, 1);
    cr_assert(bytes_eq(blob_bytes(b), BYTES("abc")));
    blob_unref(b);
}

Test(blob, a_shared_one_is_copied_first)
{
    struct blob *b = blob_new(3, 10);
    memcpy(b->data, "abc", 3);
    struct blob *other = blob_ref(b);
    struct blob *w = blob_writable(b, 0);
    cr_assert_neq(w, other);
    cr_assert_eq(other->refs, 1);
    w->data[0] = 'X';
    cr_assert(bytes_eq(blob_bytes(other), BYTES("abc")));
    cr_assert(bytes_eq(blob_bytes(w), BYTES("Xbc")));
    blob_unref(w);
    blob_unref(other);
}

Test(blob, without_memory_everything_stays_as_it_was)
{
    struct blob *b = blob_new(3, 10);
    memcpy(b->data, "abc", 3);
    mem_fail_after(1);
    cr_assert_null(blob_writable(b, 5000));
    struct blob *shared = blob_ref(b);
    mem_fail_after(1);
    cr_assert_null(blob_writable(b, 5000));
    cr_assert_eq(b->refs, 2);
    cr_assert(bytes_eq(blob_bytes(b), BYTES("abc")));
    mem_fail_after(1);
    cr_assert_null(blob_try_new(1, 1));
    cr_assert_null(blob_try_new(0, SIZE_MAX));
    cr_assert_null(blob_try_new(0, (size_t)1 << 62));
    blob_unref(shared);
    blob_unref(b);
}

static void wait_until_freed(uint64_t n)
{
    for (int i = 0; i < 5000 && blob_lazy_freed() < n; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    cr_assert_eq(blob_lazy_freed(), n);
}

Test(blob, large_ones_are_freed_by_a_thread)
{
    size_t before = mem_used();
    for (int i = 0; i < 20; i++)
        blob_unref(blob_new(0, BLOB_LAZY + (size_t)i));
    wait_until_freed(20);
    cr_assert_eq(blob_lazy_pending(), 0);
    cr_assert_eq(mem_used(), before);
    blob_lazy_reset();
    cr_assert_eq(blob_lazy_freed(), 0);
    blob_unref(blob_new(0, BLOB_MIN));
    cr_assert_eq(blob_lazy_pending(), 0, "small ones at once");
}

Test(blob, a_forked_child_frees_by_itself)
{
    blob_unref(blob_new(0, BLOB_LAZY));
    wait_until_freed(1);
    struct blob *b = blob_new(0, BLOB_LAZY);
    pid_t child = fork();
    if (child == 0) {
        size_t before = mem_used();
        blob_unref(b);
        _exit(mem_used() < before && blob_lazy_pending() == 0 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    blob_unref(b);
    wait_until_freed(2);
}

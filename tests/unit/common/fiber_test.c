#include "common/fiber.h"

#include <criterion/criterion.h>
#include <string.h>

struct walk {
    struct fiber *f;
    int steps, rests;
    char trace[64];
};

/* Rests deep in nested calls, with something on each level of the stack. */
static int descend(struct walk *w, int depth)
{
    char local[256];
    memset(local, depth, sizeof local);
    if (depth == 0) {
        for (int i = 0; i < w->rests; i++) {
            strcat(w->trace, "i");
            fiber_rest(w->f);
        }
        return 0;
    }
    int below = descend(w, depth - 1);
    return below + (local[0] == depth && local[sizeof local - 1] == depth);
}

static void run(void *ctx)
{
    struct walk *w = ctx;
    w->steps = descend(w, 50);
    strcat(w->trace, "e");
}

Test(fiber, goes_on_where_it_rested)
{
    struct walk w = { .rests = 3 };
    w.f = fiber_new(64 * 1024, run, &w);
    cr_assert_eq(w.steps, 0);
    while (fiber_resume(w.f))
        strcat(w.trace, "o");
    cr_assert_str_eq(w.trace, "ioioioe");
    cr_assert_eq(w.steps, 50, "what lay on its stack is there after each rest");
    fiber_free(w.f);
}

Test(fiber, one_that_has_not_begun_or_has_ended_can_be_freed)
{
    struct walk w = { 0 };
    fiber_free(fiber_new(64 * 1024, run, &w));
    cr_assert_str_eq(w.trace, "");
    w.f = fiber_new(64 * 1024, run, &w);
    cr_assert_not(fiber_resume(w.f));
    cr_assert_str_eq(w.trace, "e");
    fiber_free(w.f);
}

Test(fiber, several_rest_at_the_same_time)
{
    struct walk a = { .rests = 2 }, b = { .rests = 2 };
    a.f = fiber_new(64 * 1024, run, &a);
    b.f = fiber_new(64 * 1024, run, &b);
    bool more_a = true, more_b = true;
    while (more_a || more_b) {
        more_a = more_a && fiber_resume(a.f);
        more_b = more_b && fiber_resume(b.f);
    }
    cr_assert_str_eq(a.trace, "iie");
    cr_assert_str_eq(b.trace, "iie");
    fiber_free(a.f);
    fiber_free(b.f);
}

/* Fibers by ucontext (see fiber.h). Below the stack is a page that nobody may touch: running over
 * the end is a crash and not a corruption. AddressSanitizer is told of every switch, else it takes
 * the other stack for a wild one. */
#include "common/fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

struct fiber {
    ucontext_t inside, outside;
    void (*run)(void *ctx);
    void *ctx;
    char *map; /* the guard page, then the stack */
    size_t map_bytes, guard;
    bool begun, done, inside_now;
    void *inner_fake, *outer_fake; /* AddressSanitizer's, of the side that rests */
    const void *outer_bottom;      /* the stack that resumed us */
    size_t outer_bytes;
};

static void go_in(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&f->outer_fake, f->map + f->guard, f->map_bytes - f->guard);
#else
    (void)f;
#endif
}

static void came_in(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(f->inner_fake, &f->outer_bottom, &f->outer_bytes);
#else
    (void)f;
#endif
}

static void go_out(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->inner_fake, f->outer_bottom,
                                   f->outer_bytes);
#else
    (void)f;
#endif
}

static void came_out(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(f->outer_fake, NULL, NULL);
#else
    (void)f;
#endif
}

/* makecontext passes ints: a pointer comes in two. */
static void begin(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | low);
    came_in(f);
    f->run(f->ctx);
    f->done = true;
    go_out(f);
}

struct fiber *fiber_new(size_t stack_bytes, void (*run)(void *ctx), void *ctx)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fiber *f = mem_zalloc(sizeof *f);
    f->run = run;
    f->ctx = ctx;
    f->guard = page;
    f->map_bytes = page + (stack_bytes + page - 1) / page * page;
    f->map = mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    ASSERT(f->map != MAP_FAILED);
    ASSERT(mprotect(f->map, f->guard, PROT_NONE) == 0);
    ASSERT(getcontext(&f->inside) == 0);
    f->inside.uc_stack.ss_sp = f->map + f->guard;
    f->inside.uc_stack.ss_size = f->map_bytes - f->guard;
    f->inside.uc_link = &f->outside;
    uintptr_t self = (uintptr_t)f;
    makecontext(&f->inside, (void (*)(void))begin, 2, (unsigned)(self >> 32), (unsigned)self);
    return f;
}

void fiber_free(struct fiber *f)
{
    if (!f)
        return;
    ASSERT(!f->begun || f->done);
    (void)munmap(f->map, f->map_bytes);
    mem_free(f);
}

bool fiber_resume(struct fiber *f)
{
    ASSERT(!f->done);
    ASSERT(!f->inside_now);
    f->begun = f->inside_now = true;
    go_in(f);
    ASSERT(swapcontext(&f->outside, &f->inside) == 0);
    came_out(f);
    f->inside_now = false;
    return !f->done;
}

void fiber_rest(struct fiber *f)
{
    ASSERT(f->inside_now);
    go_out(f);
    ASSERT(swapcontext(&f->inside, &f->outside) == 0);
    came_in(f);
}

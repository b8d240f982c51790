/* Files: whole or not at all. */
#include "server/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[128];

static void setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/ouro-files-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/nodes.conf", folder);
}

static int entries_in_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *f = popen(command, "r");
    int n = -1;
    cr_assert_eq(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static void teardown(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(files, .init = setup, .fini = teardown);

static void expect_content(const char *text)
{
    struct buf b = { 0 };
    cr_assert_eq(io_read_file(path, 1 << 20, &b), 0);
    cr_assert_eq(b.n, strlen(text));
    cr_assert_eq(memcmp(b.p, text, b.n), 0);
    buf_done(&b);
}

Test(files, what_was_written_is_read)
{
    cr_assert_eq(io_replace_file(path, BYTES("one"), 0644), 0);
    expect_content("one");
    cr_assert_eq(io_replace_file(path, BYTES("two, longer"), 0600), 0);
    expect_content("two, longer");
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(entries_in_folder(), 1, "nothing is left beside it");
}

Test(files, an_empty_file_is_read_and_written)
{
    cr_assert_eq(io_replace_file(path, BYTES(""), 0644), 0);
    struct buf b = { 0 };
    cr_assert_eq(io_read_file(path, 10, &b), 0);
    cr_assert_eq(b.n, 0);
    buf_done(&b);
}

Test(files, a_file_over_the_limit_is_not_read)
{
    cr_assert_eq(io_replace_file(path, BYTES("0123456789"), 0644), 0);
    struct buf b = { 0 };
    cr_assert_eq(io_read_file(path, 10, &b), 0);
    cr_assert_eq(b.n, 10);
    buf_done(&b);
    struct buf untouched = { .n = 77 };
    cr_assert_eq(io_read_file(path, 9, &untouched), -EFBIG);
    cr_assert_eq(untouched.n, 77);
}

Test(files, a_file_that_is_not_there_is_an_error)
{
    struct buf b = { .n = 77 };
    cr_assert_eq(io_read_file(path, 10, &b), -ENOENT);
    cr_assert_eq(io_read_file(folder, 10, &b), -EISDIR);
    cr_assert_eq(b.n, 77);
}

Test(files, a_folder_that_is_not_there_is_an_error)
{
    char elsewhere[160];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/none/nodes.conf", folder);
    cr_assert_eq(io_replace_file(elsewhere, BYTES("x"), 0644), -ENOENT);
    cr_assert_eq(io_replace_file(folder, BYTES("x"), 0644), -EISDIR);
}

Test(files, a_folder_that_may_not_be_written_is_an_error)
{
    if (geteuid() == 0 && seteuid(65534) < 0)
        return; /* root writes everywhere */
    cr_assert_eq(io_replace_file("/usr/nodes.conf", BYTES("x"), 0644), -EACCES);
    (void)seteuid(0);
}

Test(files, a_write_that_fails_leaves_the_old_file)
{
    cr_assert_eq(io_replace_file(path, BYTES("old"), 0644), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, low = { .rlim_cur = 4096 };
    getrlimit(RLIMIT_FSIZE, &old);
    low.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &low);
    static char big[100000];
    int r = io_replace_file(path, bytes_of(big, sizeof big), 0644);
    setrlimit(RLIMIT_FSIZE, &old);
    cr_assert_eq(r, -EFBIG);
    expect_content("old");
    cr_assert_eq(entries_in_folder(), 1);
}

Test(files, a_pipe_is_read_to_its_end)
{
    int p[2];
    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(dup2(p[0], 0), 0);
    cr_assert_eq(write(p[1], "port 7000\n", 10), 10);
    close(p[1]);
    struct buf b = { 0 };
    cr_assert_eq(io_read_file("-", 1000, &b), 0);
    cr_assert_eq(b.n, 10);
    buf_done(&b);
}

/* Whether another process gets the lock: 0 or -errno. */
static int lock_elsewhere(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct io_lock *l = NULL;
        int r = io_lock_file(path, &l);
        _exit(-r);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return -WEXITSTATUS(status);
}

Test(files, a_locked_file_is_ours_before_and_after_it_is_replaced)
{
    struct io_lock *l = NULL;
    cr_assert_eq(io_lock_file(path, &l), 0);
    expect_content("");
    cr_assert_eq(lock_elsewhere(), -EAGAIN);
    cr_assert_eq(io_lock_replace(l, BYTES("one"), true), 0);
    cr_assert_eq(io_lock_replace(l, BYTES("two"), false), 0);
    expect_content("two");
    cr_assert_eq(entries_in_folder(), 1);
    cr_assert_eq(lock_elsewhere(), -EAGAIN);
    io_lock_free(l);
    cr_assert_eq(lock_elsewhere(), 0);
    expect_content("two");
}

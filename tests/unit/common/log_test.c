/* The log: the format of Redis to the byte, levels, files that others may append to. */
#include "common/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static char path[] = "/tmp/ouro_log_test_XXXXXX";
static char content[65536];

static void open_file(enum log_level level)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    log_configure(&(struct log_config){ .level = level, .path = path });
}

static const char *read_file(void)
{
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    ssize_t n = read(fd, content, sizeof content - 1);
    cr_assert_geq(n, 0);
    content[n] = '\0';
    close(fd);
    return content;
}

static void remove_file(void)
{
    unlink(path);
}

static bool matches(const char *text, const char *pattern)
{
    regex_t re;
    cr_assert_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool ok = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return ok;
}

Test(log, a_line_looks_as_in_redis, .fini = remove_file)
{
    open_file(LOG_LEVEL_DEBUG);
    log_set_role('S');
    log_notice("hello %d", 5);
    char pattern[200];
    snprintf(pattern, sizeof pattern,
             "^%d:S [0-3][0-9] [A-Z][a-z]{2} 20[0-9]{2} "
             "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3} \\* hello 5\n$",
             (int)getpid());
    cr_assert(matches(read_file(), pattern), "%s", content);
}

Test(log, levels_have_their_marks_and_are_filtered, .fini = remove_file)
{
    open_file(LOG_LEVEL_DEBUG);
    log_debug("a");
    log_verbose("b");
    log_notice("c");
    log_warning("d");
    cr_assert(matches(read_file(), "^[^\n]* \\. a\n[^\n]* - b\n[^\n]* \\* c\n[^\n]* # d\n$"), "%s",
              content);

    log_configure(&(struct log_config){ .level = LOG_LEVEL_WARNING, .path = path });
    log_notice("not this");
    log_warning("but this");
    cr_assert_null(strstr(read_file(), "not this"));
    cr_assert_not_null(strstr(content, "but this"));
    cr_assert(log_enabled(LOG_LEVEL_WARNING));
    cr_assert_not(log_enabled(LOG_LEVEL_NOTICE));

    log_configure(&(struct log_config){ .level = LOG_LEVEL_NOTHING, .path = path });
    log_warning("silence");
    cr_assert_null(strstr(read_file(), "silence"));
}

Test(log, local_time_follows_the_time_zone, .fini = remove_file)
{
    static const char *const zones[] = { "UTC0", "XST-5:30", "EST+5", "AAA-14", "BBB+12" };
    open_file(LOG_LEVEL_DEBUG);
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        log_configure(&(struct log_config){ .level = LOG_LEVEL_DEBUG, .path = path });
        cr_assert_eq(truncate(path, 0), 0);
        time_t before = time(NULL), after;
        log_warning("x");
        after = time(NULL) + 1;
        bool found = false;
        for (time_t t = before; t <= after; t++) { /* in one of these seconds */
            struct tm tm;
            char expect[64];
            localtime_r(&t, &tm);
            strftime(expect, sizeof expect, " %d %b %Y %H:%M:%S.", &tm);
            found |= strstr(read_file(), expect) != NULL;
        }
        cr_assert(found, "%s: %s", zones[i], content);
    }
}

Test(log, long_texts_are_cut_and_still_end_the_line, .fini = remove_file)
{
    open_file(LOG_LEVEL_DEBUG);
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_warning("%s", text);
    log_warning("next");
    cr_assert(matches(read_file(), "^[^\n]*x{200}\n[^\n]* # next\n$"));
    cr_assert_lt(strlen(content), 1300);
}

Test(log, others_may_append_or_move_the_file_away, .fini = remove_file)
{
    open_file(LOG_LEVEL_DEBUG);
    log_warning("one");
    FILE *f = fopen(path, "a");
    fputs("from outside\n", f);
    fclose(f);
    log_warning("two");
    cr_assert(matches(read_file(), "# one\nfrom outside\n[^\n]*# two\n$"), "%s", content);
    unlink(path);
    log_warning("three");
    cr_assert(matches(read_file(), "^[^\n]*# three\n$"), "%s", content);
}

Test(log, writing_leaves_errno_alone_even_when_it_fails)
{
    log_configure(&(struct log_config){ .path = "/nonexistent/folder/log" });
    errno = EDOM;
    log_warning("nobody reads this");
    cr_assert_eq(errno, EDOM);
    cr_assert_lt(log_raw_fd(), 0);
}

Test(log, a_forked_child_writes_whole_lines, .fini = remove_file)
{
    open_file(LOG_LEVEL_DEBUG);
    pid_t child = fork();
    if (child == 0) {
        log_set_role('C');
        for (int i = 0; i < 100; i++)
            log_warning("child says something");
        _exit(0);
    }
    for (int i = 0; i < 100; i++)
        log_warning("parent says something");
    waitpid(child, NULL, 0);
    cr_assert_not(matches(read_file(), "something[^\n]"));
    cr_assert(matches(content, ":C "));
    cr_assert(matches(content, ":M "));
}

Test(log, the_raw_way_writes_bytes_as_they_are, .fini = remove_file)
{
    open_file(LOG_LEVEL_NOTHING);
    log_raw("=== ");
    log_raw("report\n");
    cr_assert_str_eq(read_file(), "=== report\n");
    int fd = log_raw_fd();
    cr_assert_geq(fd, 0);
    cr_assert_eq(log_raw_fd(), fd, "opened once");
    log_configure(&(struct log_config){ .level = LOG_LEVEL_DEBUG });
    cr_assert_eq(log_raw_fd(), STDOUT_FILENO);
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "the old descriptor is closed");
}

Test(log, without_a_path_lines_go_to_standard_output_at_once)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int saved = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    log_configure(&(struct log_config){ .level = LOG_LEVEL_NOTICE, .path = "" });
    log_notice("to the pipe");
    ssize_t n = read(ends[0], content, sizeof content - 1);
    dup2(saved, STDOUT_FILENO);
    cr_assert_gt(n, 0);
    content[n] = '\0';
    cr_assert(matches(content, "^[0-9]+:M .* \\* to the pipe\n$"), "%s", content);
}

Test(log, syslog_can_be_switched_on_and_off, .fini = remove_file)
{
    int fd = mkstemp(path);
    close(fd);
    log_configure(&(struct log_config){ .level = LOG_LEVEL_DEBUG,
                                        .path = path,
                                        .syslog = true,
                                        .syslog_ident = "ouro-test",
                                        .syslog_facility = LOG_LOCAL0 });
    log_notice("also to the file");
    log_configure(&(struct log_config){ .level = LOG_LEVEL_DEBUG, .path = path });
    cr_assert_not_null(strstr(read_file(), "also to the file"));
}

/* The log: one entry is one line and one write(), so that lines of several processes do not mix.
 *
 * Local time is computed here from an offset to UTC: localtime_r() takes a lock, and a process
 * forked while another thread held it would hang at its first line. The offset is asked anew once a
 * minute (the clock may change to summer time), only by the thread that configured the log, which
 * is the one that forks. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define LINE_MAX_BYTES 1200 /* the prefix and LOG_TEXT_MAX bytes of text */
#define LOG_TEXT_MAX 1024   /* longer texts are cut, as in Redis */

static struct log_config config = { .level = LOG_LEVEL_NOTICE };
static _Atomic char role = 'M';
static _Atomic int raw_fd = -1; /* opened by log_raw_fd */

static _Thread_local bool may_ask_zone;
static _Atomic long zone_offset_s;
static _Atomic int64_t zone_minute = -1; /* when the offset was asked */

static long current_zone_offset(time_t now)
{
    int64_t minute = now / 60;
    if (may_ask_zone && atomic_load(&zone_minute) != minute) {
        struct tm tm;
        if (localtime_r(&now, &tm))
            atomic_store(&zone_offset_s, tm.tm_gmtoff);
        atomic_store(&zone_minute, minute);
    }
    return atomic_load(&zone_offset_s);
}

struct date {
    int year, month, day; /* month from 0 */
};

/* The civil date of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are
 * taken to start in March, so that the leap day is the last of them; 146097 days make 400 years. */
static struct date date_of_day(int64_t day)
{
    int64_t z = day + 719468; /* days since 0000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 = March */
    return (struct date){
        .year = (int)(year_of_era + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 2 : month - 10),
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

static int print_prefix(char *dst, size_t n, enum log_level level)
{
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    usec_t now_us = clock_wall_us();
    time_t now_s = (time_t)(now_us / 1000000);
    int64_t local_s = now_s + current_zone_offset(now_s);
    int64_t day = local_s / 86400, second = local_s % 86400;
    if (second < 0) {
        second += 86400;
        day--;
    }
    struct date d = date_of_day(day);
    return snprintf(dst, n, "%d:%c %02d %s %04d %02d:%02d:%02d.%03d %c ", (int)getpid(),
                    atomic_load(&role), d.day, months[d.month], d.year, (int)(second / 3600),
                    (int)(second / 60 % 60), (int)(second % 60), (int)(now_us / 1000 % 1000),
                    ".-*#"[level]);
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return; /* a log that cannot be written is nobody's news */
        p += w;
        n -= (size_t)w;
    }
}

static bool to_stdout(void)
{
    return !config.path || !*config.path;
}

static int open_log(void)
{
    return open(config.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

int log_probe(void)
{
    if (to_stdout())
        return 0;
    int fd = open_log();
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

void log_configure(const struct log_config *c)
{
    int old = atomic_exchange(&raw_fd, -1);
    if (old > STDERR_FILENO)
        (void)close(old);
    if (config.syslog)
        closelog();
    config = *c;
    if (config.syslog)
        openlog(config.syslog_ident ? config.syslog_ident : "redis",
                LOG_PID | LOG_NDELAY | LOG_NOWAIT, config.syslog_facility);
    may_ask_zone = true;
    atomic_store(&zone_minute, -1);
}

void log_set_role(char r)
{
    atomic_store(&role, r);
}

bool log_enabled(enum log_level level)
{
    return level >= config.level && level < LOG_LEVEL_NOTHING;
}

static void write_syslog(enum log_level level, const char *text)
{
    static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING };
    syslog(priorities[level], "%s", text);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level))
        return;

    int saved_errno = errno; /* callers log first and act on errno afterwards */
    char line[LINE_MAX_BYTES];
    int prefix = print_prefix(line, sizeof line, level);
    if (prefix < 0 || (size_t)prefix > sizeof line - LOG_TEXT_MAX - 1)
        return;
    char *text = line + prefix;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, LOG_TEXT_MAX, format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t len = n < LOG_TEXT_MAX ? (size_t)n : LOG_TEXT_MAX - 1;

    if (config.syslog)
        write_syslog(level, text);
    int fd = to_stdout() ? STDOUT_FILENO : open_log();
    if (fd >= 0) {
        text[len] = '\n'; /* over the NUL */
        write_all(fd, line, (size_t)prefix + len + 1);
        if (!to_stdout())
            (void)close(fd);
    }
    errno = saved_errno;
}

int log_raw_fd(void)
{
    if (to_stdout())
        return STDOUT_FILENO;
    int fd = atomic_load(&raw_fd);
    if (fd < 0) {
        fd = open_log();
        atomic_store(&raw_fd, fd);
    }
    return fd;
}

void log_raw(const char *text)
{
    int fd = log_raw_fd();
    if (fd >= 0)
        write_all(fd, text, strlen(text));
}

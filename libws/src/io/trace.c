/* trace.c - see trace.h. A line is made on the stack and leaves by one write().
 */
#include "io/trace.h"
#include "base/ascii.h"
#include "io/net.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "LIBWS_TRACE"

/* Of the file: it holds what was said. */
#define FILE_MODE 0600

#define NS_PER_MS 1000000

static atomic_uint last_number;

/* Where the environment wants a trace, or NULL. A program that runs with more
 * rights than its user writes no file of the user's choice. */
static const char *wanted_place(void) {
  const char *place = getenv(VARIABLE);
  if (place == NULL || place[0] == '\0' || strcmp(place, "0") == 0) return NULL;
  return getuid() == geteuid() && getgid() == getegid() ? place : NULL;
}

int ws__trace_open(ws__trace *trace, int fd, char *detail) {
  *trace = (ws__trace){.fd = fd};
  const char *place = fd < 0 ? wanted_place() : NULL;
  if (place == NULL) return 0;
  if (strcmp(place, "1") == 0) {
    trace->fd = STDERR_FILENO;
    return 0;
  }
  trace->fd = open(place, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
  trace->is_ours = trace->fd >= 0;
  if (trace->is_ours) return 0;
  const int error = errno;
  char text[WS__DETAIL_SIZE];
  ws__detail_set(detail, VARIABLE ": %s: %s", place,
                 ws__errno_text(error, text));
  return error;
}

void ws__trace_close(ws__trace *trace) {
  if (trace->is_ours) ws__net_close(trace->fd);
  *trace = (ws__trace){.fd = -1};
}

unsigned ws__trace_number(void) {
  return atomic_fetch_add(&last_number, 1) + 1;
}

/* Writes without a SIGPIPE, which would end a program whose trace nobody reads
 * any more. */
static void write_quietly(int fd, const char *line, size_t len) {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  if (pthread_sigmask(SIG_BLOCK, &pipe, &before) != 0) return;
  ssize_t written;
  do {
    written = write(fd, line, len);
  } while (written < 0 && errno == EINTR);
  if (written < 0 && errno == EPIPE && !was_pending) {
    int number;
    sigpending(&pending);
    if (sigismember(&pending, SIGPIPE) == 1) (void)sigwait(&pipe, &number);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Writes "2026-11-21T07:30:12.345Z", for other logs to be held against. */
static size_t put_time(char *out, size_t size) {
  struct timespec now = {0};
  struct tm utc;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (gmtime_r(&now.tv_sec, &utc) == NULL) return 0;
  const size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
  const int rest =
      snprintf(out + len, size - len, ".%03dZ", (int)(now.tv_nsec / NS_PER_MS));
  return len + (size_t)rest;
}

static void write_line(const ws__trace *trace, unsigned number, char mark,
                       const char *format, va_list args) {
  char line[WS__TRACE_LINE_SIZE];
  size_t len = put_time(line, sizeof(line));
  len += (size_t)snprintf(line + len, sizeof(line) - len, " #%u %c ", number,
                          mark);
  const size_t room = sizeof(line) - len;
  const int count = vsnprintf(line + len, room, format, args);
  if (count > 0) len += (size_t)count < room ? (size_t)count : room - 1;
  for (size_t i = 0; i < len; i++)
    if (!ws__is_printable(line[i])) line[i] = '?';
  line[len] = '\n'; /* In the place of the NUL. */
  write_quietly(trace->fd, line, len + 1);
}

void ws__trace_line(const ws__trace *trace, unsigned number, char mark,
                    const char *format, ...) {
  const int saved = errno;
  va_list args;
  va_start(args, format);
  write_line(trace, number, mark, format, args);
  va_end(args);
  errno = saved;
}

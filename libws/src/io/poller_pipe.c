/* poller_pipe.c - the pipe by which kqueue and poll(2) are woken. */

/* pipe2() is younger than the POSIX that the build asks for. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "io/poller_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)
#define HAVE_PIPE2 1
#else
#define HAVE_PIPE2 0
#endif

#if !HAVE_PIPE2
static int prepare(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) return -1;
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1) return -1;
  return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ? -1 : 0;
}
#endif

int ws__poller_pipe_open(int ends[2]) {
#if HAVE_PIPE2
  return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
#else
  if (pipe(ends) != 0) return -1;
  if (prepare(ends[0]) == 0 && prepare(ends[1]) == 0) return 0;
  ws__poller_pipe_close(ends);
  return -1;
#endif
}

void ws__poller_pipe_close(const int ends[2]) {
  ws__poller_discard(ends[0]);
  ws__poller_discard(ends[1]);
}

int ws__poller_pipe_wake(const int ends[2]) {
  const char byte = 0;
  ssize_t written;
  do {
    written = write(ends[WS__POLLER_PIPE_WRITE], &byte, sizeof(byte));
  } while (written < 0 && errno == EINTR);
  /* A full pipe is readable too. */
  return written >= 0 || errno == EAGAIN ? 0 : -1;
}

void ws__poller_pipe_drain(const int ends[2]) {
  char bytes[64];
  ssize_t got;
  do {
    got = read(ends[WS__POLLER_PIPE_READ], bytes, sizeof(bytes));
  } while (got == (ssize_t)sizeof(bytes) || (got < 0 && errno == EINTR));
}

/* test_fault.h - makes system calls fail or answer what the test wants.
 *
 * For a program that is linked with --wrap=X for each X it names here (see
 * tests/CMakeLists.txt): calls of X anywhere in it come to __wrap_X, which asks
 * fault_hits() first. One fault is set at a time; calls that it does not hit go
 * to the system. To fail every call of a scenario in turn:
 *
 *     for (unsigned n = 0;; n++) {
 *       fault_set(NULL, EIO);
 *       fault.skip = n;
 *       scenario();              // must cope, must leave no descriptor
 *       if (fault.hits == 0) break;
 *     }
 */
#ifndef TEST_FAULT_H
#define TEST_FAULT_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

typedef struct test_fault {
  const char *call; /* The name of the call, NULL for any. */
  int error;        /* What errno becomes. */
  int answer;       /* What the call returns, -1 unless said otherwise. */
  unsigned skip;    /* How many calls go well before. */
  unsigned times;   /* How many are hit then. */
  unsigned hits;    /* How many were. */
} test_fault;

static test_fault fault;

/* The next call of that name fails, once. */
static inline void fault_set(const char *call, int error) {
  fault = (test_fault){.call = call, .error = error, .answer = -1, .times = 1};
}

static inline void fault_clear(void) {
  fault = (test_fault){0};
}

static inline bool fault_hits(const char *call) {
  if (fault.hits == fault.times) return false;
  if (fault.call != NULL && strcmp(fault.call, call) != 0) return false;
  if (fault.skip > 0) {
    fault.skip--;
    return false;
  }
  fault.hits++;
  errno = fault.error;
  return true;
}

#define FAULT_WRAP(type, name, parameters, arguments)                        \
  type __real_##name parameters;                                             \
  type __wrap_##name parameters;                                             \
  type __wrap_##name parameters {                                            \
    return fault_hits(#name) ? (type)fault.answer : __real_##name arguments; \
  }

/* How many descriptors are open, of those that a small test can have. */
static inline int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) != -1;
  return count;
}

#endif

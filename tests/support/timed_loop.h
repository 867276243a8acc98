/* timed_loop.h - a loop in a time that the test makes up, for programs that are
 * linked with --wrap=ws__clock_ms (see tests/CMakeLists.txt). All memory of the
 * loop is counted. */
#ifndef TIMED_LOOP_H
#define TIMED_LOOP_H

#include "io/loop.h"
#include "test.h"
#include "test_alloc.h"

static uint64_t now; /* Milliseconds; for the test to set. */
static test_alloc alloc;
static ws_loop *loop;

uint64_t __wrap_ws__clock_ms(void);
uint64_t __wrap_ws__clock_ms(void) {
  return now;
}

static inline void timed_loop_set_up(uint64_t start) {
  now = start;
  test_alloc_init(&alloc);
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = alloc.allocator;
  assert_int_equal(ws_loop_new(&options, &loop, NULL), 0);
}

/* A test that has freed the loop has set it to NULL. */
static inline void timed_loop_tear_down(void) {
  ws_loop_free(loop);
  assert_int_equal(alloc.held, 0);
}

#endif

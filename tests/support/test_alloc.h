/* test_alloc.h - an allocator that counts every byte and can fail.
 *
 * Each block sits in memory of exactly its size, so that a sanitizer sees any
 * overrun. Freeing with another size than was asked for ends the test.
 *
 * To fail every allocation of a scenario in turn:
 *
 *     for (size_t n = 0;; n++) {
 *       test_alloc_init(&a);
 *       a.fail_at = n;
 *       scenario(&a.allocator);           // must cope, must not leak
 *       assert_int_equal(a.held, 0);
 *       if (a.calls <= n) break;          // nothing failed: all were tried
 *     }
 */
#ifndef TEST_ALLOC_H
#define TEST_ALLOC_H

#include "ws/base.h"

typedef struct test_alloc {
  ws_allocator allocator; /* Hand this to the code under test. */
  size_t held;            /* Bytes held now. */
  size_t peak;            /* Most bytes held at once; may be reset. */
  size_t calls;      /* Allocations and changes of size, frees not counted. */
  size_t fail_at;    /* The call that fails, from 0; SIZE_MAX for none. */
  bool keep_failing; /* All calls from `fail_at` on fail. */
} test_alloc;

/* `alloc` must not move afterwards. */
void test_alloc_init(test_alloc *alloc);

#endif

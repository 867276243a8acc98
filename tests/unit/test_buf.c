/* The growable buffer and the allocator functions below it. */
#include "test.h"

#include "base/buf.h"
#include "test_alloc.h"

static void an_empty_buffer_holds_nothing(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__buf buf = {0};
  assert_int_equal(ws__buf_append(&buf, &alloc.allocator, NULL, 0), 0);
  assert_int_equal(ws__buf_append_str(&buf, &alloc.allocator, ""), 0);
  assert_int_equal(ws__buf_reserve(&buf, &alloc.allocator, 0), 0);
  assert_null(buf.data);
  ws__buf_free(&buf, &alloc.allocator);
  assert_int_equal(alloc.calls, 0);
}

static void what_is_appended_stands_in_order(void **state) {
  (void)state;
  ws__buf buf = {0};
  assert_int_equal(ws__buf_append_str(&buf, &ws__malloc, "Sec-"), 0);
  assert_int_equal(ws__buf_append(&buf, &ws__malloc, "Web\0Socket", 10), 0);
  assert_int_equal(buf.len, 14);
  assert_memory_equal(buf.data, "Sec-Web\0Socket", 14);
  ws__buf_free(&buf, &ws__malloc);
  assert_null(buf.data);
  assert_int_equal(buf.len, 0);
  assert_int_equal(buf.cap, 0);
}

static void reserved_room_is_used_without_another_allocation(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__buf buf = {0};
  assert_int_equal(ws__buf_reserve(&buf, &alloc.allocator, 1000), 0);
  assert_int_equal(buf.cap, 1000);
  assert_int_equal(buf.len, 0);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(ws__buf_append(&buf, &alloc.allocator, "x", 1), 0);
  }
  assert_int_equal(alloc.calls, 1);
  ws__buf_free(&buf, &alloc.allocator);
  assert_int_equal(alloc.held, 0);
}

static void growth_doubles_and_holds_at_most_twice_the_content(void **state) {
  (void)state;
  enum {
    BYTES = 100000
  };
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__buf buf = {0};
  for (size_t i = 0; i < BYTES; i++) {
    const uint8_t byte = (uint8_t)(i * 31);
    assert_int_equal(ws__buf_append(&buf, &alloc.allocator, &byte, 1), 0);
    assert_true(buf.cap <= 2 * buf.len + WS__BUF_MIN);
    assert_int_equal(alloc.held, buf.cap);
  }
  for (size_t i = 0; i < BYTES; i++) {
    assert_int_equal(buf.data[i], (uint8_t)(i * 31));
  }
  assert_true(alloc.calls < 12);
  ws__buf_free(&buf, &alloc.allocator);
  assert_int_equal(alloc.held, 0);
}

static void sizes_that_cannot_be_are_refused_before_any_sum(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__buf buf = {0};
  assert_int_equal(ws__buf_append_str(&buf, &alloc.allocator, "kept"), 0);
  static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 3, SIZE_MAX / 2 + 1,
                                 SIZE_MAX / 2, SIZE_MAX / 2 - 3};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    assert_int_equal(ws__buf_reserve(&buf, &alloc.allocator, sizes[i]),
                     WS_ERR_NO_MEMORY);
  }
  assert_int_equal(alloc.calls, 1);
  assert_memory_equal(buf.data, "kept", 4);
  ws__buf_free(&buf, &alloc.allocator);
}

/* Gives out any size, and notes it; there is nothing behind it. */
static void *note_size(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ptr;
  (void)old_size;
  *(size_t *)ctx = new_size;
  return ctx;
}

/* where an allocator gives more than half of the address space, as some
 * do to 32-bit programs, lengths must still add up. */
static void no_buffer_is_larger_than_half_of_the_address_space(void **state) {
  (void)state;
  size_t asked = 0;
  const ws_allocator generous = {note_size, &asked};
  uint8_t byte;
  const size_t large = WS__BUF_MAX / 2 + 2;
  ws__buf buf = {.data = &byte, .len = large, .cap = large};
  assert_int_equal(ws__buf_reserve(&buf, &generous, 1), 0);
  assert_true(asked == WS__BUF_MAX);
  assert_true(buf.cap == WS__BUF_MAX);

  buf.len = WS__BUF_MAX;
  asked = 0;
  assert_int_equal(ws__buf_reserve(&buf, &generous, 1), WS_ERR_NO_MEMORY);
  assert_int_equal(ws__buf_reserve(&buf, &generous, SIZE_MAX),
                   WS_ERR_NO_MEMORY);
  assert_int_equal(ws__buf_resize(&buf, &generous, WS__BUF_MAX + 1),
                   WS_ERR_NO_MEMORY);
  assert_int_equal(asked, 0);
}

static void append_without_memory_changes_nothing(void **state) {
  (void)state;
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws__buf buf = {0};
    char text[100];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < 20; i++) {
      const size_t len = buf.len;
      int err = ws__buf_append(&buf, &alloc.allocator, text, sizeof(text));
      if (err != 0) {
        assert_int_equal(err, WS_ERR_NO_MEMORY);
        assert_int_equal(buf.len, len);
        assert_int_equal(alloc.held, buf.cap);
        err = ws__buf_append(&buf, &alloc.allocator, text, sizeof(text));
      }
      assert_int_equal(err, 0);
    }
    assert_int_equal(buf.len, 2000);
    ws__buf_free(&buf, &alloc.allocator);
    assert_int_equal(alloc.held, 0);
    if (alloc.calls <= n) break;
  }
}

static void the_default_allocator_is_malloc(void **state) {
  (void)state;
  uint8_t *block = ws__alloc_zero(&ws__malloc, 100);
  assert_non_null(block);
  for (size_t i = 0; i < 100; i++)
    assert_int_equal(block[i], 0);
  memset(block, 7, 100);
  block = ws__realloc(&ws__malloc, block, 100, 10000);
  assert_non_null(block);
  for (size_t i = 0; i < 100; i++)
    assert_int_equal(block[i], 7);
  ws__free(&ws__malloc, block, 10000);
  ws__free(&ws__malloc, NULL, 0);
}

static void a_failed_allocation_leaves_the_block(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  alloc.fail_at = 1;
  alloc.keep_failing = true;
  uint8_t *block = ws__alloc_zero(&alloc.allocator, 8);
  assert_non_null(block);
  assert_null(ws__realloc(&alloc.allocator, block, 8, 16));
  assert_null(ws__alloc(&alloc.allocator, 8));
  assert_null(ws__alloc_zero(&alloc.allocator, 8));
  assert_memory_equal(block, "\0\0\0\0\0\0\0\0", 8);
  ws__free(&alloc.allocator, block, 8);
  assert_int_equal(alloc.held, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_buffer_holds_nothing),
      cmocka_unit_test(what_is_appended_stands_in_order),
      cmocka_unit_test(reserved_room_is_used_without_another_allocation),
      cmocka_unit_test(growth_doubles_and_holds_at_most_twice_the_content),
      cmocka_unit_test(sizes_that_cannot_be_are_refused_before_any_sum),
      cmocka_unit_test(no_buffer_is_larger_than_half_of_the_address_space),
      cmocka_unit_test(append_without_memory_changes_nothing),
      cmocka_unit_test(the_default_allocator_is_malloc),
      cmocka_unit_test(a_failed_allocation_leaves_the_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

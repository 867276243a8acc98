/* Deep copies of options: counted first, then made. */
#include "test.h"

#include "api/pack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const ws_header headers[] = {
    {"Cookie", 6, "a=b; c", 6},
    {"X-Empty", 7, NULL, 0},
    {"Long name cut", 4, "value cut", 5},
};
static const char *const strings[] = {"chat", "", "super chat"};

typedef struct copies {
  const char *text;
  const char *nothing;
  const char *const *list;
  const ws_header *headers;
} copies;

static copies copy_all(ws__pack *pack) {
  return (copies){
      .text = ws__pack_string(pack, "x"), /* So that the rest is unaligned. */
      .nothing = ws__pack_string(pack, NULL),
      .list = ws__pack_strings(pack, strings, 3),
      .headers = ws__pack_headers(pack, headers, 3),
  };
}

static void what_was_counted_is_what_copies_take(void **state) {
  (void)state;
  ws__pack pack = {0};
  const copies counted = copy_all(&pack);
  assert_null(counted.text);
  assert_null(counted.list);
  assert_null(counted.headers);

  const size_t size = pack.used;
  uint8_t *block = malloc(size); /* Exactly: a sanitizer sees the rest. */
  assert_non_null(block);
  pack = (ws__pack){.block = block};
  const copies made = copy_all(&pack);
  assert_int_equal(pack.used, size);
  assert_string_equal(made.text, "x");
  assert_null(made.nothing);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(made.list[i], strings[i]);
    assert_ptr_not_equal(made.list[i], strings[i]);
  }
  assert_string_equal(made.headers[0].name, "Cookie");
  assert_string_equal(made.headers[0].value, "a=b; c");
  assert_string_equal(made.headers[1].value, "");
  assert_string_equal(made.headers[2].name, "Long");
  assert_string_equal(made.headers[2].value, "value");
  assert_int_equal(made.headers[2].value_len, 5);
  assert_int_equal((uintptr_t)made.list % sizeof(void *), 0);
  assert_int_equal((uintptr_t)made.headers % sizeof(void *), 0);
  free(block);
}

static void empty_lists_are_null_and_take_nothing(void **state) {
  (void)state;
  ws__pack pack = {0};
  assert_null(ws__pack_strings(&pack, NULL, 0));
  assert_null(ws__pack_headers(&pack, NULL, 0));
  assert_int_equal(pack.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_counted_is_what_copies_take),
      cmocka_unit_test(empty_lists_are_null_and_take_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

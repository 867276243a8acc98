/* The list of errors: every name, number and text, and the version. */
#include "test.h"

#include "ws/base.h"

#include <stdio.h>

typedef struct error {
  const char *name;
  int number;
  const char *text;
} error;

static const error errors[] = {
#define ERROR(name, number, text) {#name, number, text},
    WS_ERR_MAP(ERROR)
#undef ERROR
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static void every_error_has_its_name_and_text(void **state) {
  (void)state;
  for (size_t i = 0; i < ERRORS; i++) {
    assert_string_equal(ws_err_name(errors[i].number), errors[i].name);
    assert_string_equal(ws_strerror(errors[i].number), errors[i].text);
  }
}

/* Row 353: the names that npm's ws gives, and numbers that never change. */
static void names_known_elsewhere_are_kept(void **state) {
  (void)state;
  static const error known[] = {
      {"EXPECTED_FIN", -50, ""},
      {"EXPECTED_MASK", -51, ""},
      {"UNEXPECTED_MASK", -52, ""},
      {"UNEXPECTED_RSV_1", -53, ""},
      {"UNEXPECTED_RSV_2_3", -54, ""},
      {"INVALID_OPCODE", -55, ""},
      {"INVALID_CONTROL_PAYLOAD_LENGTH", -58, ""},
      {"UNSUPPORTED_DATA_PAYLOAD_LENGTH", -60, ""},
      {"UNSUPPORTED_MESSAGE_LENGTH", -61, ""},
      {"TOO_MANY_BUFFERED_PARTS", -62, ""},
      {"INVALID_UTF8", -64, ""},
      {"INVALID_CLOSE_CODE", -65, ""},
  };
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
    assert_string_equal(ws_err_name(known[i].number), known[i].name);
  }
}

static void names_numbers_and_texts_are_unique(void **state) {
  (void)state;
  for (size_t i = 0; i < ERRORS; i++) {
    assert_true(errors[i].number < 0);
    assert_true(errors[i].text[0] != '\0');
    for (size_t j = 0; j < i; j++) {
      assert_int_not_equal(errors[i].number, errors[j].number);
      assert_string_not_equal(errors[i].name, errors[j].name);
      assert_string_not_equal(errors[i].text, errors[j].text);
    }
  }
}

static void zero_is_ok_and_other_numbers_are_unknown(void **state) {
  (void)state;
  assert_string_equal(ws_err_name(0), "OK");
  assert_string_equal(ws_strerror(0), "no error");
  static const int numbers[] = {1, -99, -1000, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    assert_string_equal(ws_err_name(numbers[i]), "UNKNOWN");
    assert_string_equal(ws_strerror(numbers[i]), "unknown error");
  }
}

static void the_version_is_that_of_the_header(void **state) {
  (void)state;
  char version[32];
  snprintf(version, sizeof(version), "%d.%d.%d", WS_VERSION_MAJOR,
           WS_VERSION_MINOR, WS_VERSION_PATCH);
  assert_string_equal(ws_version(), version);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_error_has_its_name_and_text),
      cmocka_unit_test(names_known_elsewhere_are_kept),
      cmocka_unit_test(names_numbers_and_texts_are_unique),
      cmocka_unit_test(zero_is_ok_and_other_numbers_are_unknown),
      cmocka_unit_test(the_version_is_that_of_the_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

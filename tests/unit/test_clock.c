#include "io/clock.h"
#include "test.h"

#include <time.h>

static void it_never_goes_back(void **state) {
  (void)state;
  uint64_t last = ws__clock_ns();
  for (int i = 0; i < 100000; i++) {
    const uint64_t now = ws__clock_ns();
    assert_true(now >= last);
    last = now;
  }
}

static void milliseconds_and_nanoseconds_count_from_one_moment(void **state) {
  (void)state;
  for (int i = 0; i < 1000; i++) {
    const uint64_t before = ws__clock_ns() / 1000000;
    const uint64_t ms = ws__clock_ms();
    const uint64_t after = ws__clock_ns() / 1000000;
    assert_true(before <= ms);
    assert_true(ms <= after);
  }
}

static uint64_t monotonic_ns(void) {
  struct timespec now;
  assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void it_is_the_clock_that_setting_the_date_does_not_move(void **state) {
  (void)state;
  const uint64_t before = monotonic_ns();
  const uint64_t now = ws__clock_ns();
  assert_true(before <= now);
  assert_true(now <= monotonic_ns());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_never_goes_back),
      cmocka_unit_test(milliseconds_and_nanoseconds_count_from_one_moment),
      cmocka_unit_test(it_is_the_clock_that_setting_the_date_does_not_move),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

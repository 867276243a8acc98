/* test_cli_histogram.c - quantiles of numbers whose quantiles are known. */
#include "test.h"

#include "histogram.h"

static void small_numbers_are_exact(void **state) {
  (void)state;
  static histogram h;
  h = (histogram){0};
  for (uint64_t n = 0; n < 64; n++)
    histogram_add(&h, n);
  assert_int_equal(h.count, 64);
  assert_int_equal(histogram_quantile(&h, 0), 0);
  assert_int_equal(histogram_quantile(&h, 0.5), 31);
  assert_int_equal(histogram_quantile(&h, 1), 63);
}

static void an_empty_histogram_says_0(void **state) {
  (void)state;
  static const histogram h;
  assert_int_equal(histogram_quantile(&h, 0.99), 0);
}

static void any_number_is_told_to_a_64th(void **state) {
  (void)state;
  static histogram h;
  for (unsigned shift = 0; shift < 64; shift++) {
    for (uint64_t extra = 0; extra < 3; extra++) {
      const uint64_t number = (UINT64_C(1) << shift) + extra * 7919 % 97;
      h = (histogram){0};
      histogram_add(&h, number);
      histogram_add(&h, UINT64_MAX);
      const uint64_t told = histogram_quantile(&h, 0.5);
      assert_true(told >= number);
      assert_true(told - number <= number / 64);
      assert_true(histogram_quantile(&h, 1) == UINT64_MAX);
    }
  }
}

static void quantiles_do_not_exceed_the_greatest(void **state) {
  (void)state;
  static histogram h;
  h = (histogram){0};
  for (int i = 0; i < 1000; i++)
    histogram_add(&h, 1000000);
  assert_int_equal(histogram_quantile(&h, 0.5), 1000000);
  assert_int_equal(histogram_quantile(&h, 0.999), 1000000);
  assert_int_equal(h.max, 1000000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_numbers_are_exact),
      cmocka_unit_test(an_empty_histogram_says_0),
      cmocka_unit_test(any_number_is_told_to_a_64th),
      cmocka_unit_test(quantiles_do_not_exceed_the_greatest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* kernels.c - masking and the check of UTF-8, by themselves. */
#include <math.h>
#include <string.h>

#include "material.h"
#include "measure.h"
#include "proto/mask.h"
#include "proto/utf8.h"
#include "report.h"
#include "rivals.h"
#include "sections.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* From here on the marks count. */
#define MARK_MIN_SIZE KIB

/* Bytes in a nanosecond are GB in a second. */
static double speed(size_t len, const contender *c) {
  return (double)len / c->ns;
}

/* -- Masking --------------------------------------------------------------- */

/* Where a payload of 126 bytes and more stands in a buffer that starts with its
 * frame: not on a vector. */
#define LINE      64
#define HEAD_SIZE 8

/* Short payloads go round a ring: masked again at once, a payload would have to
 * wait for its own last bytes to reach the cache, which does not happen to one
 * that has just been received. */
#define RING_SIZE (16 * KIB)

typedef struct masking {
  uint8_t *dst;
  const uint8_t *src;
  size_t len;
  size_t stride;
  size_t ring_len;
} masking;

static const uint8_t key[4] = {0x12, 0x34, 0x56, 0x78};

/* The place in the ring after `at`. */
static inline size_t next_place(const masking *m, size_t at) {
  return at + m->stride < m->ring_len ? at + m->stride : 0;
}

static void run_in_place(void *ctx, size_t times) {
  const masking *m = ctx;
  for (size_t at = 0; times > 0; times--, at = next_place(m, at)) {
    ws__mask(m->dst + at, m->len, key, 0);
    measure_keep(m->dst);
  }
}

static void run_copy(void *ctx, size_t times) {
  const masking *m = ctx;
  for (size_t at = 0; times > 0; times--, at = next_place(m, at)) {
    ws__mask_copy(m->dst + at, m->src + at, m->len, key, 0);
    measure_keep(m->dst);
  }
}

static void run_avx2(void *ctx, size_t times) {
  const masking *m = ctx;
  for (size_t at = 0; times > 0; times--, at = next_place(m, at)) {
    rival_mask_avx2(m->dst + at, m->src + at, m->len, key);
    measure_keep(m->dst);
  }
}

static void run_bytes(void *ctx, size_t times) {
  const masking *m = ctx;
  for (size_t at = 0; times > 0; times--, at = next_place(m, at)) {
    rival_mask_bytes(m->dst + at, m->src + at, m->len, key);
    measure_keep(m->dst);
  }
}

static void run_memcpy(void *ctx, size_t times) {
  const masking *m = ctx;
  for (size_t at = 0; times > 0; times--, at = next_place(m, at)) {
    memcpy(m->dst + at, m->src + at, m->len);
    measure_keep(m->dst);
  }
}

static report_mark beside_avx2 = {
    .claim = "masking from 1 KiB up / plain AVX2 loop, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 0.8,
};
static report_mark beside_bytes = {
    .claim = "masking from 1 KiB up / byte loop, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 20,
};

/* Masks at `dst_offset` behind a cache line, from the same place or from one
 * that starts on a line. */
static void mask_table(const char *title, bool is_copy, size_t dst_offset) {
  static const report_column columns[] = {
      {"libws", 1},  {"AVX2 loop", 1},    {"byte loop", 1},
      {"memcpy", 1}, {"of AVX2 loop", 2}, {"x byte loop", 1},
  };
  static const size_t sizes[] = {16, 64, 125, KIB, 16 * KIB, 64 * KIB, MIB};
  report_table(title, columns, sizeof(columns) / sizeof(columns[0]));

  uint8_t *dst = allocate(MIB + HEAD_SIZE);
  uint8_t *src = allocate(MIB);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    const size_t len = sizes[i];
    masking copy = {.dst = dst + dst_offset,
                    .src = src,
                    .len = len,
                    .stride = (len + LINE - 1) / LINE * LINE,
                    .ring_len = RING_SIZE};
    masking m = copy;
    if (!is_copy) m.src = m.dst; /* But memcpy has to have two places. */
    contender group[] = {
        {.run = is_copy ? run_copy : run_in_place, .ctx = &m},
        {.run = run_avx2, .ctx = &m},
        {.run = run_bytes, .ctx = &m},
        {.run = run_memcpy, .ctx = &copy},
    };
    measure(group, 4);

    const bool has_avx2 = rival_has_avx2();
    const double of_avx2 = has_avx2 ? measure_ratio(&group[1], &group[0]) : NAN;
    const double of_bytes = measure_ratio(&group[2], &group[0]);
    const double values[] = {speed(len, &group[0]),
                             has_avx2 ? speed(len, &group[1]) : NAN,
                             speed(len, &group[2]),
                             speed(len, &group[3]),
                             of_avx2,
                             of_bytes};
    report_row(values, "%s", size_name(len));
    if (len < MARK_MIN_SIZE) continue;
    if (has_avx2) report_check(&beside_avx2, of_avx2, "%s", size_name(len));
    report_check(&beside_bytes, of_bytes, "%s", size_name(len));
  }
  deallocate(dst);
  deallocate(src);
}

void bench_mask(void) {
  mask_table("Masking in place, on a cache line, GB/s", false, 0);
  mask_table("Masking in place, 8 bytes behind a line, GB/s", false, HEAD_SIZE);
  mask_table("Masking by copy, from line to line, GB/s", true, 0);
  mask_table("Masking by copy, to 8 bytes behind a line, GB/s", true,
             HEAD_SIZE);
}

/* -- UTF-8 ----------------------------------------------------------------- */

typedef struct checking {
  uint8_t *copy;
  const uint8_t *text;
  size_t len;
} checking;

static void run_utf8(void *ctx, size_t times) {
  const checking *c = ctx;
  bool is_valid = true;
  for (size_t i = 0; i < times; i++) {
    measure_keep(c->copy);
    is_valid &= ws__utf8_is_valid(c->text, c->len);
  }
  must(is_valid, "the text is valid");
}

static void run_text_memcpy(void *ctx, size_t times) {
  const checking *c = ctx;
  for (size_t i = 0; i < times; i++) {
    memcpy(c->copy, c->text, c->len);
    measure_keep(c->copy);
  }
}

static report_mark ascii_beside_memcpy = {
    .claim = "check of ASCII / memcpy, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 0.5,
};

void bench_utf8(void) {
  static const report_column columns[] = {
      {"libws", 1}, {"memcpy", 1}, {"of memcpy", 2}};
  static const size_t sizes[] = {16, 64, 125, KIB, 16 * KIB, 64 * KIB};
  uint8_t *copy = allocate(64 * KIB);
  uint8_t *text = allocate(64 * KIB);
  report_table("Check of UTF-8, GB/s", columns, 3);

  for (script s = 0; s < SCRIPT_COUNT; s++) {
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
      checking c = {copy, text, sizes[i]};
      write_text(s, text, c.len);
      contender group[] = {{.run = run_utf8, .ctx = &c},
                           {.run = run_text_memcpy, .ctx = &c}};
      measure(group, 2);

      const double of_memcpy = measure_ratio(&group[1], &group[0]);
      const double values[] = {speed(c.len, &group[0]), speed(c.len, &group[1]),
                               of_memcpy};
      report_row(values, "%s, %s", script_names[s], size_name(c.len));
      if (s == SCRIPT_ASCII) {
        report_check(&ascii_beside_memcpy, of_memcpy, "%s", size_name(c.len));
      }
    }
  }
  deallocate(copy);
  deallocate(text);
}

/* test_utf8.c - the check of UTF-8 against the grammar of RFC 3629 section 4,
 * whole and in pieces, through the public functions and through each kernel
 * that this CPU can run.
 *
 * What "every sequence" means is said at each of the exhaustive tests. */
#include "proto/utf8.h"

#include <stdlib.h>

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- The slow reference ---------------------------------------------------- */

typedef enum {
  BAD,
  UNFINISHED,
  COMPLETE
} verdict;

/* RFC 3629 section 4, one entry for each alternative: what each octet of a
 * character may be. */
static const struct form {
  size_t len;
  struct {
    uint8_t low, high;
  } octets[4];
} forms[] = {
    {1, {{0x00, 0x7F}}},
    {2, {{0xC2, 0xDF}, {0x80, 0xBF}}},
    {3, {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}}},
    {3, {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}}},
};

/* Judges the first character of a text that is not empty, and gives the number
 * of its bytes that are there. */
static verdict judge_character(const uint8_t *text, size_t len,
                               size_t *out_len) {
  for (size_t f = 0; f < COUNT(forms); f++) {
    const struct form *form = &forms[f];
    const size_t have = len < form->len ? len : form->len;
    size_t i = 0;
    while (i < have && text[i] >= form->octets[i].low &&
           text[i] <= form->octets[i].high)
      i++;
    *out_len = have;
    if (i == have) return have == form->len ? COMPLETE : UNFINISHED;
  }
  return BAD;
}

static verdict judge(const uint8_t *text, size_t len) {
  verdict result = COMPLETE;
  for (size_t i = 0, n; i < len && result == COMPLETE; i += n)
    result = judge_character(text + i, len - i, &n);
  return result;
}

/* How many bytes of `text` can be the start of a valid text. */
static size_t good_bytes(const uint8_t *text, size_t len) {
  size_t good = 0;
  while (good < len && judge(text, good + 1) != BAD)
    good++;
  return good;
}

/* -- What is tested -------------------------------------------------------- */

static verdict check_piece(ws__utf8_state *state, const uint8_t *data,
                           size_t len) {
  if (!ws__utf8_check(state, data, len)) return BAD;
  return ws__utf8_is_complete(*state) ? COMPLETE : UNFINISHED;
}

static void fail_text(const char *name, const uint8_t *text, size_t len) {
  print_error("%s: wrong about", name);
  for (size_t i = 0; i < len; i++)
    print_error(" %02x", text[i]);
  print_error("\n");
  fail();
}

/* Each kernel gives `expected` for a text that is long enough. */
static void expect_of_kernels(const uint8_t *text, size_t len, bool expected) {
  if (len < WS__UTF8_KERNEL_MIN) return;
  for (size_t n = 0; n < ws__utf8_kernel_count; n++) {
    const ws__utf8_kernel *kernel = &ws__utf8_kernels[n];
    if (kernel->is_supported() && kernel->is_valid(text, len) != expected)
      fail_text(kernel->name, text, len);
  }
}

/* The whole text gets the verdict, by all ways there are. */
static void expect(const uint8_t *text, size_t len, verdict expected) {
  ws__utf8_state state = 0;
  if (check_piece(&state, text, len) != expected)
    fail_text("ws__utf8_check", text, len);
  if (ws__utf8_is_valid(text, len) != (expected == COMPLETE))
    fail_text("ws__utf8_is_valid", text, len);
  expect_of_kernels(text, len, expected == COMPLETE);
}

/* a block of exactly the size, so that a sanitizer sees any overrun. */
static uint8_t *new_block(size_t len) {
  uint8_t *block = malloc(len);
  assert_true(block != NULL || len == 0);
  return block;
}

/* -- Every sequence -------------------------------------------------------- */

#define MAX_SEQUENCE 4

static size_t complete_characters;

/* Judges all continuations of an unfinished sequence, byte by byte and as one
 * piece. */
static void check_continuations(uint8_t *sequence, size_t len,
                                ws__utf8_state before) {
  if (len >= MAX_SEQUENCE) return; /* Four bytes are never unfinished. */
  for (unsigned c = 0; c <= 0xFF; c++) {
    sequence[len] = (uint8_t)c;
    const verdict expected = judge(sequence, len + 1);
    ws__utf8_state state = before;
    ws__utf8_state whole = 0;
    if (check_piece(&state, &sequence[len], 1) != expected ||
        check_piece(&whole, sequence, len + 1) != expected)
      fail_text("ws__utf8_check", sequence, len + 1);
    if (expected == UNFINISHED) check_continuations(sequence, len + 1, state);
    else if (expected == COMPLETE) complete_characters++;
  }
}

/* All sequences of up to four bytes, in effect: what follows a byte that was
 * refused is refused with it, and after a complete character the state is that
 * of the start again. So only unfinished sequences need to be continued, each
 * with all 256 bytes. */
static void every_sequence_of_up_to_four_bytes_is_judged_right(void **state) {
  (void)state;
  uint8_t sequence[MAX_SEQUENCE];
  complete_characters = 0;
  check_continuations(sequence, 0, 0);
  /* All code points but the surrogates. */
  assert_int_equal(complete_characters, 0x110000 - 0x800);
}

/* A text of ASCII, long enough for two strides of the widest kernel, and a
 * place in it where a vector of each kernel begins two bytes later: all begin
 * their first vector at 3, and all widths divide 32. */
#define ROOM_SIZE 160
#define ROOM_SEAM (3 + 2 * 32 - 2)

/* Kernels, three bytes: all 2^24 sequences across a seam between two vectors,
 * ASCII around them. This includes all of two bytes and of one. */
static void
every_sequence_of_three_bytes_is_judged_right_by_kernels(void **state) {
  (void)state;
  uint8_t *room = new_block(ROOM_SIZE);
  memset(room, 'a', ROOM_SIZE);
  uint8_t *p = room + ROOM_SEAM;
  for (unsigned c = 0; c < 1 << 24; c++) {
    p[0] = (uint8_t)(c >> 16);
    p[1] = (uint8_t)(c >> 8);
    p[2] = (uint8_t)c;
    expect_of_kernels(room, ROOM_SIZE, judge(p, 3) == COMPLETE);
  }
  free(room);
}

/* Kernels, four bytes: all 256 continuations of each three bytes that may begin
 * a character of four, so all such characters and all that nearly are. */
static void
every_character_of_four_bytes_is_judged_right_by_kernels(void **state) {
  (void)state;
  uint8_t *room = new_block(ROOM_SIZE);
  memset(room, 'a', ROOM_SIZE);
  uint8_t *p = room + ROOM_SEAM;
  for (unsigned c = 0xF00000; c < 1 << 24; c++) {
    p[0] = (uint8_t)(c >> 16);
    p[1] = (uint8_t)(c >> 8);
    p[2] = (uint8_t)c;
    if (judge(p, 3) != UNFINISHED) continue;
    for (unsigned last = 0; last <= 0xFF; last++) {
      p[3] = (uint8_t)last;
      expect_of_kernels(room, ROOM_SIZE, judge(p, 4) == COMPLETE);
    }
  }
  free(room);
}

/* The edges of all ranges that the grammar knows. */
static const uint8_t edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
                                0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3,
                                0xF4, 0xF5, 0xF8, 0xFF};

/* Four bytes of whatever kind, also behind what is already wrong: all 25^4
 * sequences of the edges, by kernels across the seam and alone as one piece. */
static void every_sequence_of_four_edges_is_judged_right(void **state) {
  (void)state;
  uint8_t *room = new_block(ROOM_SIZE);
  memset(room, 'a', ROOM_SIZE);
  uint8_t *p = room + ROOM_SEAM;
  const size_t n = COUNT(edges);
  for (size_t c = 0; c < n * n * n * n; c++) {
    p[0] = edges[c / n / n / n];
    p[1] = edges[c / n / n % n];
    p[2] = edges[c / n % n];
    p[3] = edges[c % n];
    const verdict expected = judge(p, 4);
    expect_of_kernels(room, ROOM_SIZE, expected == COMPLETE);
    ws__utf8_state whole = 0;
    if (check_piece(&whole, p, 4) != expected)
      fail_text("ws__utf8_check", p, 4);
  }
  free(room);
}

/* -- Every place ----------------------------------------------------------- */

/* A sequence, and how many of its bytes are good: the next one is the first
 * that cannot be. */
typedef struct sample {
  const char *bytes;
  size_t len;
  size_t good;
} sample;

#define GOOD(text) \
  { text, sizeof(text) - 1, sizeof(text) - 1 }
#define BAD_AT(n, text) \
  { text, sizeof(text) - 1, n }

static const sample samples[] = {
    GOOD("\x00"),
    GOOD("\x7F"),
    GOOD("\xC2\x80"),
    GOOD("\xDF\xBF"),
    GOOD("\xE0\xA0\x80"),
    GOOD("\xE0\xBF\xBF"),
    GOOD("\xE1\x80\x80"),
    GOOD("\xEC\xBF\xBF"),
    GOOD("\xED\x80\x80"),
    GOOD("\xED\x9F\xBF"),
    GOOD("\xEE\x80\x80"),
    GOOD("\xEF\xBF\xBF"),
    GOOD("\xF0\x90\x80\x80"),
    GOOD("\xF0\xBF\xBF\xBF"),
    GOOD("\xF1\x80\x80\x80"),
    GOOD("\xF3\xBF\xBF\xBF"),
    GOOD("\xF4\x80\x80\x80"),
    GOOD("\xF4\x8F\xBF\xBF"),
    BAD_AT(0, "\x80"), /* Continuations alone. */
    BAD_AT(0, "\xBF"),
    BAD_AT(0, "\x80\x80\x80"),
    BAD_AT(2, "\xC2\x80\x80"), /* One more than wanted. */
    BAD_AT(3, "\xE1\x80\x80\x80"),
    BAD_AT(4, "\xF1\x80\x80\x80\x80"),
    BAD_AT(0, "\xC0"), /* Overlong. */
    BAD_AT(0, "\xC0\x80"),
    BAD_AT(0, "\xC1\xBF"),
    BAD_AT(1, "\xE0\x80"),
    BAD_AT(1, "\xE0\x9F\xBF"),
    BAD_AT(1, "\xF0\x80"),
    BAD_AT(1, "\xF0\x8F\xBF\xBF"),
    BAD_AT(1, "\xED\xA0"), /* Surrogates. */
    BAD_AT(1, "\xED\xA0\x80"),
    BAD_AT(1, "\xED\xBF\xBF"),
    BAD_AT(1, "\xF4\x90"), /* Above U+10FFFF. */
    BAD_AT(1, "\xF4\x90\x80\x80"),
    BAD_AT(1, "\xF4\xBF\xBF\xBF"),
    BAD_AT(0, "\xF5"),
    BAD_AT(0, "\xF5\x80\x80\x80"),
    BAD_AT(0, "\xF7\xBF\xBF\xBF"),
    BAD_AT(0, "\xF8\x88\x80\x80\x80"),
    BAD_AT(0, "\xFC\x84\x80\x80\x80\x80"),
    BAD_AT(0, "\xFE"),
    BAD_AT(0, "\xFF"),
    BAD_AT(1, "\xC2\x7F"), /* Cut short by ASCII. */
    BAD_AT(1, "\xE1\x7F"),
    BAD_AT(2, "\xE1\x80\x7F"),
    BAD_AT(1, "\xF1\x7F"),
    BAD_AT(2, "\xF1\x80\x7F"),
    BAD_AT(3, "\xF1\x80\x80\x7F"),
    BAD_AT(1, "\xC2\xC2"), /* Cut short by the next character. */
    BAD_AT(1, "\xE1\xC2\x80"),
    BAD_AT(2, "\xE1\x80\xE1\x80\x80"),
    BAD_AT(3, "\xF1\x80\x80\xF1\x80\x80\x80"),
};

static const char *const fillers[] = {"a", "\xC3\xA9", "\xE2\x82\xAC",
                                      "\xF0\x9F\x98\x80"};

/* `count` bytes of whole characters. */
static void fill(uint8_t *p, size_t count, const char *filler) {
  const size_t n = strlen(filler);
  for (size_t i = 0; i < count; i++)
    p[i] = (uint8_t)filler[i % n];
}

/* Fail-fast: the text is fine up to the last good byte and refused with the
 * next, whatever would follow. */
static void expect_fail_fast(const uint8_t *text, size_t good) {
  uint8_t *start = new_block(good + 1);
  memcpy(start, text, good + 1);
  ws__utf8_state state = 0;
  if (!ws__utf8_check(&state, start, good)) fail_text("start", start, good);
  expect(start, good + 1, BAD);
  free(start);
}

/* `before` and `after` are numbers of bytes of filler. */
static void check_sample(const sample *s, const char *filler, size_t before,
                         size_t after) {
  const size_t len = before + s->len + after;
  uint8_t *text = new_block(len);
  fill(text, before, filler);
  memcpy(text + before, s->bytes, s->len);
  fill(text + before + s->len, after, filler);
  const bool is_good = s->good == s->len;
  expect(text, len, is_good ? COMPLETE : BAD);
  if (after == 0 && !is_good) expect_fail_fast(text, before + s->good);
  free(text);
}

/* Rows 231 and 233. Every sample with 0 to 150 bytes of text in total around
 * it, divided in every way, for text of each length of character. */
static void every_sample_is_judged_right_at_every_place(void **state) {
  (void)state;
  const size_t room = 150;
  for (size_t f = 0; f < COUNT(fillers); f++) {
    const size_t n = strlen(fillers[f]);
    for (size_t i = 0; i < COUNT(samples); i++)
      for (size_t before = 0; before <= room; before += n)
        for (size_t after = 0; before + after <= room; after += n)
          check_sample(&samples[i], fillers[f], before, after);
  }
}

static void the_samples_are_bad_where_the_reference_says(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(samples); i++)
    assert_int_equal(
        good_bytes((const uint8_t *)samples[i].bytes, samples[i].len),
        samples[i].good);
}

/* -- Every cut ------------------------------------------------------------- */

/* Feeds text[from..to) as a block of its own. The verdict is that on all bytes
 * so far. */
static verdict check_cut(ws__utf8_state *state, const uint8_t *text,
                         size_t from, size_t to) {
  uint8_t *piece = new_block(to - from);
  if (to > from) memcpy(piece, text + from, to - from);
  const verdict result = check_piece(state, piece, to - from);
  free(piece);
  return result;
}

/* Row 232. The verdicts after each piece; bit i of `cuts` is a cut after byte
 * i. Nothing is fed after a refusal. */
static void check_cuts(const uint8_t *text, size_t len, unsigned cuts) {
  ws__utf8_state state = 0;
  size_t from = 0;
  for (size_t to = 1; to <= len; to++) {
    if (to < len && (cuts >> (to - 1) & 1) == 0) continue;
    const verdict expected = judge(text, to);
    if (check_cut(&state, text, from, to) != expected)
      fail_text("pieces", text, to);
    if (expected == BAD) return;
    from = to;
  }
}

static void short_texts_are_judged_right_however_they_are_cut(void **state) {
  (void)state;
  for (size_t a = 0; a < COUNT(samples); a++) {
    for (size_t b = 0; b < COUNT(fillers); b++) {
      uint8_t text[12];
      size_t len = 0;
      text[len++] = 'x';
      memcpy(text + len, fillers[b], strlen(fillers[b]));
      len += strlen(fillers[b]);
      memcpy(text + len, samples[a].bytes, samples[a].len);
      len += samples[a].len;
      for (unsigned cuts = 0; cuts < 1u << (len - 1); cuts++)
        check_cuts(text, len, cuts);
    }
  }
}

/* Three pieces, each of which may be long enough for a kernel. */
static void check_two_cuts(const uint8_t *text, size_t len, size_t one,
                           size_t two, const verdict *verdicts) {
  const size_t ends[] = {one, two, len};
  ws__utf8_state state = 0;
  size_t from = 0;
  for (size_t i = 0; i < COUNT(ends); from = ends[i++]) {
    const verdict expected = verdicts[ends[i]];
    if (check_cut(&state, text, from, ends[i]) != expected)
      fail_text("pieces", text, ends[i]);
    if (expected == BAD) return;
  }
}

static void check_every_two_cuts(const uint8_t *text, size_t len) {
  verdict verdicts[256];
  assert_in_range(len, 0, COUNT(verdicts) - 1);
  for (size_t i = 0; i <= len; i++)
    verdicts[i] = judge(text, i);
  for (size_t one = 0; one <= len; one++)
    for (size_t two = one; two <= len; two++)
      check_two_cuts(text, len, one, two, verdicts);
}

/* Row 232. */
static void long_texts_are_judged_right_with_any_two_cuts(void **state) {
  (void)state;
  static const char mixed[] =
      "Zw\xC3\xB6lf Boxk\xC3\xA4mpfer jagen Viktor \xE2\x82\xAC 12 "
      "\xE6\xBC\xA2\xE5\xAD\x97\xE3\x81\x8B\xE3\x81\xAA "
      "\xF0\x9F\x98\x80\xF0\x9F\x9A\x80 quer \xC3\xBC"
      "ber den gro\xC3\x9F"
      "en Sylter Deich";
  const size_t len = sizeof(mixed) - 1;
  uint8_t text[sizeof(mixed) + 8];
  memcpy(text, mixed, len);
  check_every_two_cuts(text, len);
  for (size_t i = 0; i < COUNT(samples); i++) {
    memcpy(text + len, samples[i].bytes, samples[i].len);
    check_every_two_cuts(text, len + samples[i].len);
  }
}

static void no_bytes_leave_the_state_as_it_is(void **state) {
  (void)state;
  ws__utf8_state utf8 = 0;
  assert_true(ws__utf8_check(&utf8, NULL, 0));
  assert_true(ws__utf8_is_complete(utf8));
  assert_true(ws__utf8_check(&utf8, (const uint8_t *)"\xE2", 1));
  assert_true(ws__utf8_check(&utf8, NULL, 0));
  assert_false(ws__utf8_is_complete(utf8));
  assert_true(ws__utf8_check(&utf8, (const uint8_t *)"\x82\xAC", 2));
  assert_true(ws__utf8_is_complete(utf8));
  assert_true(ws__utf8_is_valid(NULL, 0));
}

/* -- Many texts ------------------------------------------------------------ */

static uint32_t next_random(uint32_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed;
}

/* Runs of characters of the same kind and, one time in two, a byte of the text
 * replaced by an edge. The lengths reach over several strides. */
static void random_texts_are_judged_right(void **state) {
  (void)state;
  uint32_t seed = 3629;
  for (int round = 0; round < 50000; round++) {
    const size_t len = next_random(&seed) % 300;
    uint8_t *text = new_block(len);
    for (size_t i = 0; i < len;) {
      size_t run = 1 + next_random(&seed) % 150;
      if (run > len - i) run = len - i;
      const char *filler = fillers[next_random(&seed) % COUNT(fillers)];
      const size_t n = strlen(filler);
      if (run < n) fill(text + i, run, "a");
      else fill(text + i, run -= run % n, filler);
      i += run;
    }
    if (len > 0 && next_random(&seed) % 2 == 0)
      text[next_random(&seed) % len] = edges[next_random(&seed) % COUNT(edges)];
    expect(text, len, judge(text, len));
    free(text);
  }
}

static void the_last_kernel_is_portable_and_always_supported(void **state) {
  (void)state;
  const ws__utf8_kernel *last = &ws__utf8_kernels[ws__utf8_kernel_count - 1];
  assert_string_equal(last->name, "portable");
  assert_true(last->is_supported());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_sequence_of_up_to_four_bytes_is_judged_right),
      cmocka_unit_test(
          every_sequence_of_three_bytes_is_judged_right_by_kernels),
      cmocka_unit_test(
          every_character_of_four_bytes_is_judged_right_by_kernels),
      cmocka_unit_test(every_sequence_of_four_edges_is_judged_right),
      cmocka_unit_test(the_samples_are_bad_where_the_reference_says),
      cmocka_unit_test(every_sample_is_judged_right_at_every_place),
      cmocka_unit_test(short_texts_are_judged_right_however_they_are_cut),
      cmocka_unit_test(long_texts_are_judged_right_with_any_two_cuts),
      cmocka_unit_test(no_bytes_leave_the_state_as_it_is),
      cmocka_unit_test(random_texts_are_judged_right),
      cmocka_unit_test(the_last_kernel_is_portable_and_always_supported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

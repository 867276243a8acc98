/* test_extension.c - lists of extensions and the negotiation of
 * permessage-deflate (RFC 7692 section 7.1), from values of exactly their
 * size. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/extension.h"

/* What both sides are set up with here: nothing bounded. */
static const ws__deflate_offer unbounded = {true, {15, 15, false, false}};
static const ws__deflate_offer disabled = {false, {15, 15, false, false}};

/* The defaults of ws_conn_options. */
static const ws__deflate_offer bounded = {true, {12, 12, false, false}};

/* -- Heads of nothing but extensions --------------------------------------- */

#define MAX_LINES 8

typedef struct lines {
  ws__http_head head;
  ws_header headers[2 * MAX_LINES];
  char *values[MAX_LINES];
} lines;

/* Makes a header of each line of `text`, others in between. */
static void lines_init(lines *l, const char *text) {
  static const ws_header other = {"X-Other", 7, "permessage-deflate, ,", 21};
  *l = (lines){0};
  l->head.headers = l->headers;
  size_t count = 0;
  for (const char *line = text; line != NULL;) {
    const char *const end = strchr(line, '\n');
    const size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
    char *value = malloc(len > 0 ? len : 1);
    assert_non_null(value);
    memcpy(value, line, len);
    assert_true(count < MAX_LINES);
    l->values[count] = value;
    l->headers[2 * count] = other;
    l->headers[2 * count + 1] =
        (ws_header){"sec-websocket-Extensions", 24, value, len};
    count++;
    line = end != NULL ? end + 1 : NULL;
  }
  l->head.header_count = 2 * count;
}

static void lines_free(lines *l) {
  for (size_t i = 0; i < MAX_LINES; i++)
    free(l->values[i]);
}

/* What a server makes of a request. */
typedef struct choice {
  int err;
  bool has_deflate;
  ws__deflate_params params;
  char answer[WS__EXTENSION_SIZE];
} choice;

static choice choose(const char *text, const ws__deflate_offer *ours) {
  lines l;
  lines_init(&l, text);
  choice c;
  const char *reason = NULL;
  c.err = ws__extension_choose(&l.head, ours, &c.has_deflate, &c.params,
                               c.answer, &reason);
  assert_int_equal(c.err != 0, reason != NULL);
  lines_free(&l);
  return c;
}

/* What a client makes of a response. */
static choice check(const char *text, const ws__deflate_offer *offer) {
  lines l;
  lines_init(&l, text);
  choice c;
  const char *reason = NULL;
  c.err =
      ws__extension_check(&l.head, offer, &c.has_deflate, &c.params, &reason);
  assert_int_equal(c.err != 0, reason != NULL);
  lines_free(&l);
  return c;
}

static void assert_params_equal(ws__deflate_params a, ws__deflate_params b) {
  assert_int_equal(a.server_max_window_bits, b.server_max_window_bits);
  assert_int_equal(a.client_max_window_bits, b.client_max_window_bits);
  assert_int_equal(a.server_no_context_takeover, b.server_no_context_takeover);
  assert_int_equal(a.client_no_context_takeover, b.client_no_context_takeover);
}

/* -- Grammar --------------------------------------------------------------- */

static void malformed_lists_are_refused_by_both_roles(void **state) {
  (void)state;
  /* Row 367. */
  static const char *const texts[] = {
      "",
      ",",
      "a,",
      ",a",
      "a,,b",
      "a, ,b",
      ";",
      "a;",
      "a;;b",
      "a; ;b",
      "a;b=",
      "a;=b",
      "a;b==c",
      "a;b=c=d",
      "a b",
      "a;b c",
      "a;b=c d",
      "a=b",
      "a;\"b\"",
      "\"a\"",
      "a;b=\"",
      "a;b=\"c",
      "a;b=\"c\\",
      "a;b=\"c\\\"",
      "a;b=\"\"",
      "a;b=\"c d\"",
      "a;b=\"c,d\"",
      "a;b=\"c\\ d\"",
      "a;b=\"c\\\\d\"",
      "a;b=\"c\"d",
      "a;b=c\"d\"",
      "a;b=\"c\"\"d\"",
      "a;b='c d'",
      "a/b",
      "\x80",
      "a;\xFF",
      "a;b=\xE9",
      "a;b=\"\xE9\"",
      "permessage-deflate;",
      "permessage-deflate\n",   /* The second line is empty. */
      "permessage-deflate\na,", /* What is wrong stands in the last line. */
      "permessage-deflate,\na",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const choice c = choose(texts[i], &unbounded);
    if (c.err == 0) print_error("%s\n", texts[i]);
    assert_int_equal(c.err, WS_ERR_INVALID_EXTENSIONS);
    /* A server that wants no extension is as strict. */
    assert_int_equal(choose(texts[i], &disabled).err,
                     WS_ERR_INVALID_EXTENSIONS);
    assert_true(check(texts[i], &unbounded).err != 0);
  }
}

static void unknown_extensions_are_ignored_by_a_server(void **state) {
  (void)state;
  /* Row 367. Names that are built in elsewhere are names like others. */
  static const char *const texts[] = {
      "a",
      " a ",
      "a, b;c, d;e=f;g=\"h\"",
      "a\t;\tb\t=\tc\t,\td",
      "a\nb\nc;d",
      "a;b=\"\\c\\d\"",
      "constructor, __proto__;toString=\"hasOwnProperty\"",
      "x-webkit-deflate-frame",
      "permessage-deflate2",
      "Permessage-Deflate",
      "permessage-bzip2; server_max_window_bits=12",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const choice c = choose(texts[i], &unbounded);
    assert_int_equal(c.err, 0);
    assert_false(c.has_deflate);
    assert_string_equal(c.answer, "");
    /* Row 90. */
    assert_int_equal(check(texts[i], &unbounded).err,
                     WS_ERR_UNEXPECTED_EXTENSION);
  }
}

static void no_header_is_no_extension(void **state) {
  (void)state;
  ws_header host = {"Host", 4, "h", 1};
  const ws__http_head head = {.headers = &host, .header_count = 1};
  choice c;
  const char *reason;
  assert_int_equal(ws__extension_choose(&head, &unbounded, &c.has_deflate,
                                        &c.params, c.answer, &reason),
                   0);
  assert_false(c.has_deflate);
  assert_string_equal(c.answer, "");
  c.has_deflate = true;
  assert_int_equal(ws__extension_check(&head, &unbounded, &c.has_deflate,
                                       &c.params, &reason),
                   0);
  assert_false(c.has_deflate);
}

/* each byte at each place is accepted or refused, never worse. */
static void every_byte_at_every_place(void **state) {
  (void)state;
  static const char good[] =
      "permessage-deflate; client_max_window_bits=\"1\\0\""
      ", a;b=c";
  char text[sizeof(good)];
  memcpy(text, good, sizeof(good));
  unsigned accepted = 0;
  for (size_t i = 0; i < sizeof(good) - 1; i++) {
    for (unsigned byte = 1; byte < 256; byte++) {
      if (byte == '\n') continue;
      text[i] = (char)byte;
      const choice c = choose(text, &unbounded);
      assert_true(c.err == 0 || c.err == WS_ERR_INVALID_EXTENSIONS);
      accepted += c.err == 0 && c.has_deflate;
      const choice d = check(text, &unbounded);
      assert_true(d.err == WS_ERR_UNEXPECTED_EXTENSION ||
                  d.err == WS_ERR_INVALID_EXTENSIONS ||
                  d.err == WS_ERR_INVALID_EXTENSION_PARAMETER);
    }
    text[i] = good[i];
  }
  assert_true(accepted > sizeof(good));
}

/* Each of these is two million bytes for a scanner that never goes back;
 * one that does would not come to an end. */
static void hostile_lists_are_read_in_one_pass(void **state) {
  (void)state;
  static const struct {
    const char *start, *unit, *end;
    int err;
  } cases[] = {
      {"a", ",a", "", 0},
      {"a", ";b", "", 0},
      {"a", ";b=\"c\"", "", 0},
      {"permessage-deflate", ",permessage-deflate;server_max_window_bits=1", "",
       0},
      {"a", " ", "", 0},
      {"a;b=\"", "\\c", "\"", 0},
      {"a;b=\"", "c", "\"", 0},
      {"", "a", "", 0},
      {"a;b=\"", "\\c", "", WS_ERR_INVALID_EXTENSIONS},
      {"a;b=\"", "c", "", WS_ERR_INVALID_EXTENSIONS},
      {"a", " ", "b", WS_ERR_INVALID_EXTENSIONS},
      {"a", ";b", ";", WS_ERR_INVALID_EXTENSIONS},
      {"a", ",a", ",", WS_ERR_INVALID_EXTENSIONS},
  };
  const size_t size = 2000000;
  char *text = malloc(size + 64);
  assert_non_null(text);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const size_t unit = strlen(cases[i].unit);
    size_t len = strlen(cases[i].start);
    memcpy(text, cases[i].start, len);
    for (; len < size; len += unit)
      memcpy(text + len, cases[i].unit, unit);
    strcpy(text + len, cases[i].end);
    assert_int_equal(choose(text, &unbounded).err, cases[i].err);
  }
  free(text);
}

/* -- Parameters (A-26) ----------------------------------------------------- */

/* Values that are no window size, with the `=` that belongs to them. */
static const char *const bad_bits[] = {
    "=7",      "=16",         "=1000",
    "=0",      "=08",         "=010",
    "=15a",    "=\"7\"",      "=\"16\"",
    "=\"08\"", "=-8",         "=+8",
    "=8.0",    "=0x8",        "=1e1",
    "=x",      "=4294967304", "=18446744073709551624",
    "=88",     "=99",         "=\"\\0\\8\"",
};

static void check_bad_param(const char *param) {
  char text[256];
  snprintf(text, sizeof(text), "permessage-deflate; %s", param);
  /* The client fails the connection. */
  assert_int_equal(check(text, &unbounded).err,
                   WS_ERR_INVALID_EXTENSION_PARAMETER);
  assert_int_equal(check(text, &bounded).err,
                   WS_ERR_INVALID_EXTENSION_PARAMETER);
  /* The server declines the offer and takes the next. */
  choice c = choose(text, &unbounded);
  assert_int_equal(c.err, 0);
  assert_false(c.has_deflate);
  assert_string_equal(c.answer, "");
  strcat(text, ", permessage-deflate");
  c = choose(text, &unbounded);
  assert_int_equal(c.err, 0);
  assert_true(c.has_deflate);
  assert_string_equal(c.answer, "permessage-deflate");
}

static void bad_parameters_decline_an_offer_and_fail_an_answer(void **state) {
  (void)state;
  /* Row 92. */
  static const char *const params[] = {
      "server_max_window_bits",
      "server_no_context_takeover=1",
      "server_no_context_takeover=\"true\"",
      "client_no_context_takeover=false",
      "client_no_context_takeover=8",
      "server_no_context_takeover; server_no_context_takeover",
      "client_no_context_takeover; client_no_context_takeover",
      "server_max_window_bits=10; server_max_window_bits=10",
      "client_max_window_bits=10; client_max_window_bits=10",
      "client_max_window_bits=10; client_max_window_bits",
      "client_max_window_bits; client_max_window_bits",
      "foo",
      "foo=10",
      "Server_Max_Window_Bits=10",
      "server_max_window_bits2=10",
      "server_max_window_bit=10",
      "server_no_context_takeover; foo; client_no_context_takeover",
  };
  for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
    check_bad_param(params[i]);
  }
  for (size_t i = 0; i < sizeof(bad_bits) / sizeof(bad_bits[0]); i++) {
    char param[64];
    snprintf(param, sizeof(param), "server_max_window_bits%s", bad_bits[i]);
    check_bad_param(param);
    snprintf(param, sizeof(param), "client_max_window_bits%s", bad_bits[i]);
    check_bad_param(param);
  }
}

static void every_window_size_is_understood_in_every_spelling(void **state) {
  (void)state;
  static const char *const forms[] = {"%u", "\"%u\"", " %u", " \"%u\" "};
  for (unsigned bits = 8; bits <= 15; bits++) {
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
      char value[16], text[128];
      snprintf(value, sizeof(value), forms[i], bits);
      snprintf(text, sizeof(text),
               "permessage-deflate;server_max_window_bits=%s"
               ";client_max_window_bits =%s",
               value, value);
      const ws__deflate_params expected = {(uint8_t)bits, (uint8_t)bits, false,
                                           false};
      const choice c = choose(text, &unbounded);
      assert_int_equal(c.err, 0);
      assert_true(c.has_deflate);
      assert_params_equal(c.params, expected);
      /* Row 309. */
      const choice d = check(text, &unbounded);
      assert_int_equal(d.err, 0);
      assert_true(d.has_deflate);
      assert_params_equal(d.params, expected);
    }
  }
  /* Quoted pairs stand for the character behind the backslash. */
  const choice c =
      check("permessage-deflate;client_max_window_bits=\"\\1\\2\"", &unbounded);
  assert_int_equal(c.err, 0);
  assert_int_equal(c.params.client_max_window_bits, 12);
}

/* -- The server's answer --------------------------------------------------- */

static void a_server_answers_what_it_will_do(void **state) {
  (void)state;
  static const ws__deflate_offer small = {true, {8, 9, false, false}};
  static const ws__deflate_offer fresh = {true, {15, 15, true, true}};
  static const struct {
    const char *offer;
    const ws__deflate_offer *ours;
    const char *answer;
    ws__deflate_params params;
  } cases[] = {
      {"permessage-deflate",
       &unbounded,
       "permessage-deflate",
       {15, 15, false, false}},
      /* Nobody can bound a client that does not know the parameter. */
      {"permessage-deflate",
       &bounded,
       "permessage-deflate; server_max_window_bits=12",
       {12, 15, false, false}},
      /* What browsers offer. */
      {"permessage-deflate; client_max_window_bits",
       &bounded,
       "permessage-deflate; client_max_window_bits=12; "
       "server_max_window_bits=12",
       {12, 12, false, false}},
      {"permessage-deflate; client_max_window_bits",
       &unbounded,
       "permessage-deflate",
       {15, 15, false, false}},
      {"permessage-deflate; client_max_window_bits=15",
       &unbounded,
       "permessage-deflate",
       {15, 15, false, false}},
      {"permessage-deflate; client_max_window_bits=10",
       &bounded,
       "permessage-deflate; client_max_window_bits=10; "
       "server_max_window_bits=12",
       {12, 10, false, false}},
      {"permessage-deflate; client_max_window_bits=14",
       &bounded,
       "permessage-deflate; client_max_window_bits=12; "
       "server_max_window_bits=12",
       {12, 12, false, false}},
      /* "Accepts by including": also when nothing is bounded. */
      {"permessage-deflate; server_max_window_bits=15",
       &unbounded,
       "permessage-deflate; server_max_window_bits=15",
       {15, 15, false, false}},
      {"permessage-deflate; server_max_window_bits=10",
       &bounded,
       "permessage-deflate; server_max_window_bits=10",
       {10, 15, false, false}},
      {"permessage-deflate; server_max_window_bits=14",
       &bounded,
       "permessage-deflate; server_max_window_bits=12",
       {12, 15, false, false}},
      /* 8 is answered and kept. */
      {"permessage-deflate; server_max_window_bits=8",
       &bounded,
       "permessage-deflate; server_max_window_bits=8",
       {8, 15, false, false}},
      {"permessage-deflate; client_max_window_bits",
       &small,
       "permessage-deflate; client_max_window_bits=9; "
       "server_max_window_bits=8",
       {8, 9, false, false}},
      {"permessage-deflate; server_no_context_takeover",
       &unbounded,
       "permessage-deflate; server_no_context_takeover",
       {15, 15, true, false}},
      {"permessage-deflate; client_no_context_takeover",
       &unbounded,
       "permessage-deflate; client_no_context_takeover",
       {15, 15, false, true}},
      {"permessage-deflate",
       &fresh,
       "permessage-deflate; server_no_context_takeover; "
       "client_no_context_takeover",
       {15, 15, true, true}},
      /* The first legal offer wins. */
      {"a, permessage-deflate; server_max_window_bits=7, "
       "permessage-deflate; server_max_window_bits=9, permessage-deflate",
       &unbounded,
       "permessage-deflate; server_max_window_bits=9",
       {9, 15, false, false}},
      {"permessage-deflate; foo\npermessage-deflate\n"
       "permessage-deflate; client_no_context_takeover",
       &unbounded,
       "permessage-deflate",
       {15, 15, false, false}},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const choice c = choose(cases[i].offer, cases[i].ours);
    assert_int_equal(c.err, 0);
    assert_true(c.has_deflate);
    assert_string_equal(c.answer, cases[i].answer);
    assert_params_equal(c.params, cases[i].params);
  }
}

static void a_server_that_is_not_asked_to_does_not_compress(void **state) {
  (void)state;
  /* Row 310. */
  const choice c =
      choose("permessage-deflate; client_max_window_bits", &disabled);
  assert_int_equal(c.err, 0);
  assert_false(c.has_deflate);
  assert_string_equal(c.answer, "");
}

/* -- The client's offer and check ------------------------------------------ */

static void a_client_offers_its_bounds(void **state) {
  (void)state;
  static const struct {
    ws__deflate_offer offer;
    const char *text;
  } cases[] = {
      /* Row 64. */
      {{true, {15, 15, false, false}},
       "permessage-deflate; client_max_window_bits"},
      {{true, {15, 9, false, false}},
       "permessage-deflate; client_max_window_bits"},
      {{true, {12, 12, false, false}},
       "permessage-deflate; client_max_window_bits; server_max_window_bits=12"},
      {{true, {8, 8, true, true}},
       "permessage-deflate; client_max_window_bits; server_max_window_bits=8; "
       "server_no_context_takeover; client_no_context_takeover"},
      {{true, {15, 15, false, true}},
       "permessage-deflate; client_max_window_bits; "
       "client_no_context_takeover"},
      {{false, {12, 12, true, true}}, ""},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[WS__EXTENSION_SIZE];
    ws__extension_write_offer(&cases[i].offer, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void a_client_takes_every_legal_answer(void **state) {
  (void)state;
  static const ws__deflate_offer fresh = {true, {12, 12, true, true}};
  static const struct {
    const char *answer;
    const ws__deflate_offer *offer;
    ws__deflate_params params;
  } cases[] = {
      {"permessage-deflate", &unbounded, {15, 15, false, false}},
      {"permessage-deflate; client_max_window_bits=10",
       &bounded,
       {15, 10, false, false}},
      {"permessage-deflate; client_max_window_bits=14",
       &bounded,
       {15, 12, false, false}},
      {"permessage-deflate; server_max_window_bits=12",
       &bounded,
       {12, 12, false, false}},
      {"permessage-deflate; server_max_window_bits=8",
       &bounded,
       {8, 12, false, false}},
      /* Not asked for, and legal (RFC 7692 7.1.1.1, 7.1.2.1). */
      {"permessage-deflate; server_max_window_bits=9; "
       "server_no_context_takeover; client_no_context_takeover",
       &unbounded,
       {9, 15, true, true}},
      /* A server that does not say it is bounded is not; we keep our word. */
      {"permessage-deflate", &fresh, {15, 12, false, true}},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const choice c = check(cases[i].answer, cases[i].offer);
    assert_int_equal(c.err, 0);
    assert_true(c.has_deflate);
    assert_params_equal(c.params, cases[i].params);
  }
}

static void a_client_refuses_what_it_did_not_ask_for(void **state) {
  (void)state;
  static const struct {
    const char *answer;
    const ws__deflate_offer *offer;
    int err;
  } cases[] = {
      /* Row 91. */
      {"permessage-deflate", &disabled, WS_ERR_UNEXPECTED_EXTENSION},
      /* Row 92: twice, in one line or two. */
      {"permessage-deflate, permessage-deflate", &unbounded,
       WS_ERR_UNEXPECTED_EXTENSION},
      {"permessage-deflate\npermessage-deflate", &unbounded,
       WS_ERR_UNEXPECTED_EXTENSION},
      {"permessage-deflate, foo", &unbounded, WS_ERR_UNEXPECTED_EXTENSION},
      /* More than was asked for. */
      {"permessage-deflate; server_max_window_bits=13", &bounded,
       WS_ERR_INVALID_EXTENSION_PARAMETER},
      /* An answer needs the value. */
      {"permessage-deflate; client_max_window_bits", &unbounded,
       WS_ERR_INVALID_EXTENSION_PARAMETER},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_int_equal(check(cases[i].answer, cases[i].offer).err, cases[i].err);
  }
}

/* -- Both together --------------------------------------------------------- */

static ws__deflate_offer nth_offer(unsigned n) {
  return (ws__deflate_offer){
      .is_enabled = true,
      .params = {.server_max_window_bits = (uint8_t)(8 + n % 8),
                 .client_max_window_bits = (uint8_t)(8 + n / 8 % 8),
                 .server_no_context_takeover = n / 64 % 2 != 0,
                 .client_no_context_takeover = n / 128 % 2 != 0}};
}

/* All 65,536 pairs of settings: the two sides agree on the same, and nobody's
 * bounds are broken. */
static void our_client_and_server_always_agree(void **state) {
  (void)state;
  for (unsigned i = 0; i < 256; i++) {
    const ws__deflate_offer client = nth_offer(i);
    char offer[WS__EXTENSION_SIZE];
    ws__extension_write_offer(&client, offer);
    for (unsigned j = 0; j < 256; j++) {
      const ws__deflate_offer server = nth_offer(j);
      const choice c = choose(offer, &server);
      assert_int_equal(c.err, 0);
      assert_true(c.has_deflate);
      const choice d = check(c.answer, &client);
      assert_int_equal(d.err, 0);
      assert_true(d.has_deflate);

      const ws__deflate_params *a = &client.params, *b = &server.params;
      const uint8_t server_bits =
          a->server_max_window_bits < b->server_max_window_bits
              ? a->server_max_window_bits
              : b->server_max_window_bits;
      assert_int_equal(c.params.server_max_window_bits, server_bits);
      assert_int_equal(d.params.server_max_window_bits, server_bits);
      assert_int_equal(c.params.client_max_window_bits,
                       b->client_max_window_bits);
      assert_int_equal(d.params.client_max_window_bits,
                       a->client_max_window_bits < b->client_max_window_bits
                           ? a->client_max_window_bits
                           : b->client_max_window_bits);
      const bool server_fresh =
          a->server_no_context_takeover || b->server_no_context_takeover;
      const bool client_fresh =
          a->client_no_context_takeover || b->client_no_context_takeover;
      assert_int_equal(c.params.server_no_context_takeover, server_fresh);
      assert_int_equal(d.params.server_no_context_takeover, server_fresh);
      assert_int_equal(c.params.client_no_context_takeover, client_fresh);
      assert_int_equal(d.params.client_no_context_takeover, client_fresh);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(malformed_lists_are_refused_by_both_roles),
      cmocka_unit_test(unknown_extensions_are_ignored_by_a_server),
      cmocka_unit_test(no_header_is_no_extension),
      cmocka_unit_test(every_byte_at_every_place),
      cmocka_unit_test(hostile_lists_are_read_in_one_pass),
      cmocka_unit_test(bad_parameters_decline_an_offer_and_fail_an_answer),
      cmocka_unit_test(every_window_size_is_understood_in_every_spelling),
      cmocka_unit_test(a_server_answers_what_it_will_do),
      cmocka_unit_test(a_server_that_is_not_asked_to_does_not_compress),
      cmocka_unit_test(a_client_offers_its_bounds),
      cmocka_unit_test(a_client_takes_every_legal_answer),
      cmocka_unit_test(a_client_refuses_what_it_did_not_ask_for),
      cmocka_unit_test(our_client_and_server_always_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

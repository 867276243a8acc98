#include "player.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

/* -- What the words of the table mean -------------------------------------- */

typedef enum line_kind {
  LINE_SETUP,  /* How the connection is made, and `at`. */
  LINE_INPUT,  /* Bytes from the peer; neighbours travel in one segment. */
  LINE_END,    /* `end`: belongs to the step before it. */
  LINE_ACTION, /* Everything else that is done. */
  LINE_RESULT, /* What must come of the step. */
  LINE_QUERY   /* A result that has to be asked for. */
} line_kind;

static const struct {
  const char *word;
  line_kind kind;
} kinds[] = {
    {"rows", LINE_SETUP},        {"role", LINE_SETUP},
    {"set", LINE_SETUP},         {"deflate", LINE_SETUP},
    {"early", LINE_SETUP},       {"at", LINE_SETUP},
    {"frame", LINE_INPUT},       {"raw", LINE_INPUT},
    {"end", LINE_END},           {"send", LINE_ACTION},
    {"close", LINE_ACTION},      {"eof", LINE_ACTION},
    {"close_with", LINE_ACTION}, {"tick", LINE_ACTION},
    {"block", LINE_ACTION},      {"unblock", LINE_ACTION},
    {"abort", LINE_ACTION},      {"event", LINE_RESULT},
    {"out", LINE_RESULT},        {"pings", LINE_RESULT},
    {"tells", LINE_RESULT},      {"fails", LINE_RESULT},
    {"returns", LINE_RESULT},    {"state", LINE_QUERY},
    {"buffered", LINE_QUERY},
};

static void complain(const vector_line *line, const char *what) {
  fprintf(stderr, "line %u of the table: %s\n", line->number, what);
  exit(2);
}

static line_kind kind_of(const vector_line *line) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (vector_line_has(line, 0, kinds[i].word)) return kinds[i].kind;
  }
  complain(line, "unknown first word");
  return LINE_SETUP;
}

static unsigned long number_at(const vector_line *line, size_t index) {
  if (index >= line->word_count) complain(line, "a number is missing");
  char *end;
  const unsigned long number = strtoul(line->words[index], &end, 10);
  if (*end != '\0') complain(line, "a number is malformed");
  return number;
}

/* The first line of the step that follows the one beginning at `i`. */
static size_t step_end(const vector_case *c, size_t i) {
  bool is_input = kind_of(&c->lines[i]) == LINE_INPUT;
  for (i++; i < c->line_count; i++) {
    const line_kind kind = kind_of(&c->lines[i]);
    if (kind == LINE_ACTION || kind == LINE_SETUP) break;
    if (kind == LINE_INPUT && !is_input) break;
    is_input = kind == LINE_INPUT;
  }
  return i;
}

/* The first line of the first step. */
static size_t first_step(const vector_case *c) {
  size_t i = 0;
  while (i < c->line_count && kind_of(&c->lines[i]) == LINE_SETUP)
    i++;
  return i;
}

static const vector_line *find(const vector_case *c, const char *word) {
  for (size_t i = 0; i < c->line_count; i++) {
    if (vector_line_has(&c->lines[i], 0, word)) return &c->lines[i];
  }
  return NULL;
}

bool player_has_role(const vector_case *c, ws_role role) {
  const vector_line *line = find(c, "role");
  return line == NULL ||
         vector_line_has(line, 1, role == WS_ROLE_CLIENT ? "client" : "server");
}

size_t player_input_size(const vector_case *c, ws_role role) {
  driver d = {.role = role};
  size_t size = 0;
  for (size_t i = 0; i < c->line_count; i++) {
    const vector_line *line = &c->lines[i];
    if (kind_of(line) != LINE_INPUT) continue;
    uint8_t *bytes = malloc(line->len + 4);
    if (bytes == NULL) abort();
    size += vector_line_has(line, 0, "raw")
                ? line->len
                : driver_frame(&d, bytes, line->data, line->len);
    free(bytes);
  }
  return size;
}

/* -- Options --------------------------------------------------------------- */

#define OPTION(name)                            \
  {                                             \
#name, offsetof(ws_conn_options, name),     \
        sizeof(((ws_conn_options *)NULL)->name) \
  }

static const struct {
  const char *name;
  size_t offset;
  size_t size;
} option_fields[] = {
    OPTION(max_message),       OPTION(max_fragments),
    OPTION(max_send_queue),    OPTION(send_high_water),
    OPTION(useless_burst),     OPTION(useless_rate),
    OPTION(ping_interval),     OPTION(ping_timeout),
    OPTION(message_timeout),   OPTION(send_timeout),
    OPTION(close_timeout),     OPTION(compression_threshold),
    OPTION(compression_level), OPTION(no_auto_pong),
};

/* `set <option> <number>|never|unlimited` */
static void set_option(ws_conn_options *options, const vector_line *line) {
  const bool is_max = vector_line_has(line, 2, "never") ||
                      vector_line_has(line, 2, "unlimited");
  const uint64_t value = is_max ? UINT64_MAX : number_at(line, 2);
  for (size_t i = 0; i < sizeof(option_fields) / sizeof(option_fields[0]);
       i++) {
    if (!vector_line_has(line, 1, option_fields[i].name)) continue;
    uint8_t *field = (uint8_t *)options + option_fields[i].offset;
    switch (option_fields[i].size) {
    case 1: *field = (uint8_t)value; return;
    case 4: memcpy(field, &(uint32_t){(uint32_t)value}, 4); return;
    case 8: memcpy(field, &value, 8); return;
    }
  }
  complain(line, "unknown option");
}

void player_options(const vector_case *c, ws_conn_options *out) {
  driver_options_init(out);
  const vector_line *deflate = find(c, "deflate");
  if (deflate != NULL) {
    const bool forgets = vector_line_has(deflate, 1, "no_context_takeover");
    out->compression = WS_COMPRESSION_ON;
    out->server_max_window_bits = 15;
    out->client_max_window_bits = 15;
    out->server_no_context_takeover = forgets;
    out->client_no_context_takeover = forgets;
  }
  for (size_t i = 0; i < c->line_count; i++) {
    if (vector_line_has(&c->lines[i], 0, "set")) {
      set_option(out, &c->lines[i]);
    }
  }
}

ws_conn_config *player_config(const vector_case *c, ws_role role,
                              const ws_allocator *allocator) {
  ws_conn_options options;
  player_options(c, &options);
  if (allocator != NULL) options.allocator = *allocator;
  ws_conn_config *config = NULL;
  const char *reason = "";
  const int err = ws_conn_config_new(role, &options, &config, &reason);
  if (err != 0) fail_msg("options of \"%s\": %s", c->name, reason);
  return config;
}

static const char *extensions_of(const vector_case *c) {
  const vector_line *deflate = find(c, "deflate");
  if (deflate == NULL) return NULL;
  if (!vector_line_has(deflate, 1, "no_context_takeover")) {
    return "permessage-deflate";
  }
  return "permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover";
}

/* -- What must happen ------------------------------------------------------ */

static void expect_event(const vector_line *line, transcript *out) {
  for (size_t i = 0; i < line->word_count; i++) {
    transcript_add(out, "%s%s", i > 0 ? " " : "", line->words[i]);
  }
  const bool has_data =
      !vector_line_has(line, 1, "error") && !vector_line_has(line, 1, "drain");
  if (has_data) transcript_add_data(out, line->data, line->len);
  else transcript_add(out, "\n");
}

/* `fails <error> <code> [<side>]`: the whole of a failure. */
static void expect_failure(const vector_line *line, transcript *out) {
  const char *side = line->word_count > 3 ? line->words[3] : "peer";
  transcript_add(out, "event error %s %lu %s\n", line->words[1],
                 number_at(line, 2), side);
  driver_log_close(out, WS_CLOSE_ABNORMAL, false, "", 0);
}

static void expect_output(const vector_case *c, size_t i, size_t end,
                          transcript *out) {
  vector_line all = {0};
  unsigned long told = 0;
  for (; i < end; i++) {
    const vector_line *line = &c->lines[i];
    if (vector_line_has(line, 0, "pings")) transcript_add(out, "pings\n");
    if (vector_line_has(line, 0, "fails")) told = number_at(line, 2);
    if (vector_line_has(line, 0, "tells")) told = number_at(line, 1);
    if (!vector_line_has(line, 0, "out")) continue;
    all.data = realloc(all.data, all.len + line->len + 1);
    if (all.data == NULL) abort();
    memcpy(all.data + all.len, line->data, line->len);
    all.len += line->len;
  }
  if (all.len > 0) {
    transcript_add(out, "out");
    transcript_add_data(out, all.data, all.len);
  }
  if (told != 0) transcript_add(out, "tells %lu\n", told);
  free(all.data);
}

static void expect_step(const vector_case *c, size_t i, size_t end,
                        transcript *out) {
  transcript_add(out, "-- line %u\n", c->lines[i].number);
  for (size_t j = i; j < end; j++) {
    const vector_line *line = &c->lines[j];
    if (vector_line_has(line, 0, "event")) expect_event(line, out);
    if (vector_line_has(line, 0, "fails")) expect_failure(line, out);
    if (vector_line_has(line, 0, "returns")) {
      transcript_add(out, "returns %s\n", line->words[1]);
    }
  }
  expect_output(c, i, end, out);
  for (size_t j = i; j < end; j++) {
    const vector_line *line = &c->lines[j];
    if (kind_of(line) != LINE_QUERY) continue;
    if (line->word_count < 2) complain(line, "a word is missing");
    transcript_add(out, "%s %s\n", line->words[0], line->words[1]);
  }
}

void player_expect(const vector_case *c, transcript *out) {
  size_t end;
  for (size_t i = first_step(c); i < c->line_count; i = end) {
    end = step_end(c, i);
    expect_step(c, i, end, out);
  }
}

/* -- What happens ---------------------------------------------------------- */

/* `send text|binary [fragment] [uncompressed] [unchecked]: data`, or `send
 * ping|pong: data`. */
static int send_line(driver *d, const vector_line *line, size_t first) {
  const char *what = line->words[first];
  if (strcmp(what, "ping") == 0) {
    return ws_conn_send_ping(d->conn, line->data, line->len);
  }
  if (strcmp(what, "pong") == 0) {
    return ws_conn_send_pong(d->conn, line->data, line->len);
  }
  unsigned flags = 0;
  for (size_t i = first + 1; i < line->word_count; i++) {
    if (vector_line_has(line, i, "fragment")) flags |= WS_SEND_FRAGMENT;
    else if (vector_line_has(line, i, "uncompressed"))
      flags |= WS_SEND_UNCOMPRESSED;
    else if (vector_line_has(line, i, "unchecked")) flags |= WS_SEND_VALID_UTF8;
    else complain(line, "unknown flag");
  }
  return ws_conn_send(d->conn, strcmp(what, "text") == 0 ? WS_TEXT : WS_BINARY,
                      line->data, line->len, flags);
}

/* Does what the words from `first` on say. */
static void act(driver *d, const vector_line *line, size_t first) {
  const char *word = line->words[first];
  const uint16_t code =
      line->word_count > first + 1 && strncmp(word, "close", 5) == 0
          ? (uint16_t)number_at(line, first + 1)
          : 0;
  const char *reason = (const char *)line->data;
  int err = 0;
  if (strcmp(word, "send") == 0) err = send_line(d, line, first + 1);
  else if (strcmp(word, "close") == 0)
    err = ws_conn_close(d->conn, code, reason, line->len);
  else if (strcmp(word, "close_with") == 0)
    err = ws_conn_close_with(d->conn, code, reason, line->len);
  else if (strcmp(word, "eof") == 0) ws_conn_eof(d->conn);
  else if (strcmp(word, "tick") == 0)
    ws_conn_tick(d->conn, d->now += number_at(line, first + 1));
  else if (strcmp(word, "block") == 0) d->is_blocked = true;
  else if (strcmp(word, "unblock") == 0) d->is_blocked = false;
  else if (strcmp(word, "abort") == 0)
    ws_conn_abort(d->conn, line->word_count > first + 1 ? WS_ERR_TRANSPORT : 0);
  else complain(line, "unknown action");
  if (err != 0) transcript_add(&d->log, "returns %s\n", ws_err_name(err));
}

/* The bytes of the neighbouring input lines from `*i` on. */
static uint8_t *read_segment(const vector_case *c, size_t *i, ws_role role,
                             size_t *out_len) {
  const driver d = {.role = role};
  uint8_t *bytes = NULL;
  size_t len = 0;
  for (; *i < c->line_count && kind_of(&c->lines[*i]) == LINE_INPUT; ++*i) {
    const vector_line *line = &c->lines[*i];
    bytes = realloc(bytes, len + line->len + 4);
    if (bytes == NULL) abort();
    if (vector_line_has(line, 0, "raw")) {
      memcpy(bytes + len, line->data, line->len);
      len += line->len;
    } else {
      len += driver_frame(&d, bytes + len, line->data, line->len);
    }
  }
  *out_len = len;
  return bytes;
}

/* `at <events> <action>`: done straight after that many events. */
static void on_event(driver *d) {
  const vector_case *c = d->on_event_ctx;
  for (size_t i = 0; i < c->line_count; i++) {
    const vector_line *line = &c->lines[i];
    if (vector_line_has(line, 0, "at") && number_at(line, 1) == d->events) {
      act(d, line, 2);
    }
  }
}

static const char *state_name(const driver *d) {
  switch (ws_conn_state(d->conn)) {
  case WS_STATE_CONNECTING: return "connecting";
  case WS_STATE_OPEN: return "open";
  case WS_STATE_CLOSING: return "closing";
  case WS_STATE_CLOSED: return "closed";
  }
  return "none";
}

static void play_queries(driver *d, const vector_case *c, size_t i,
                         size_t end) {
  for (; i < end; i++) {
    if (vector_line_has(&c->lines[i], 0, "state")) {
      transcript_add(&d->log, "state %s\n", state_name(d));
    }
    if (vector_line_has(&c->lines[i], 0, "buffered")) {
      transcript_add(&d->log, "buffered %llu\n",
                     (unsigned long long)ws_conn_buffered_amount(d->conn));
    }
  }
}

/* What a step does after its input, or in its stead. */
static void play_actions(driver *d, const vector_case *c, size_t i,
                         size_t end) {
  for (; i < end; i++) {
    const line_kind kind = kind_of(&c->lines[i]);
    if (kind == LINE_ACTION) act(d, &c->lines[i], 0);
    /* The server ends the transport after the closing handshake (RFC 6455
     * 7.1.1); a server under test has done so of its own accord. */
    if (kind == LINE_END && d->role == WS_ROLE_CLIENT) ws_conn_eof(d->conn);
    driver_settle(d);
  }
}

/* Opens the connection; the early segment is the first step's input. Returns
 * the first line that is still to be played of that step. */
static size_t play_opening(driver *d, const vector_case *c, ws_role role,
                           ws_conn_config *config, const driver_mode *mode) {
  size_t i = first_step(c);
  size_t len = 0;
  uint8_t *early = NULL;
  if (find(c, "early") != NULL) early = read_segment(c, &i, role, &len);
  if (!driver_open(d, role, config, mode, extensions_of(c), early, len)) {
    transcript_add(&d->log, "did not open\n");
  }
  free(early);
  return i;
}

static void play_step(driver *d, const vector_case *c, size_t i, size_t end) {
  size_t len;
  uint8_t *bytes = read_segment(c, &i, d->role, &len);
  driver_feed(d, bytes, len);
  free(bytes);
  if (d->conn != NULL) play_actions(d, c, i, end);
}

void player_play(const vector_case *c, ws_role role, ws_conn_config *config,
                 const driver_mode *mode, transcript *out) {
  driver d = {.on_event = on_event, .on_event_ctx = c};
  const size_t first = first_step(c);
  transcript_add(&d.log, "-- line %u\n", c->lines[first].number);
  size_t i = play_opening(&d, c, role, config, mode);
  for (size_t begin = first; begin < c->line_count; i = begin) {
    const size_t end = step_end(c, begin);
    if (begin != first) {
      transcript_add(&d.log, "-- line %u\n", c->lines[begin].number);
    }
    play_step(&d, c, i, end);
    if (vector_line_has(&c->lines[begin], 0, "tick")) {
      driver_log_keepalive(&d);
    }
    driver_log_output(&d);
    play_queries(&d, c, begin, end);
    begin = end;
  }
  transcript_add(out, "%s", transcript_text(&d.log));
  driver_free(&d);
}

void player_torture(const vector_case *c, ws_role role, ws_conn_config *config,
                    const driver_mode *mode, transcript *out) {
  driver d = {.on_event = on_event, .on_event_ctx = c};
  size_t i = play_opening(&d, c, role, config, mode);
  while (d.is_open && i < c->line_count) {
    const size_t end = step_end(c, i);
    play_step(&d, c, i, end);
    i = end;
  }
  d.is_blocked = false;
  driver_eof(&d);
  assert_int_equal(d.closes, d.conn != NULL);
  transcript_add(out, "%s", transcript_text(&d.log));
  driver_free(&d);
}

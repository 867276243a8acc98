/* receiving.c - frames in: bytes of the peer until the application has the
 * message, beside wslay and memcpy.
 *
 * Unmasking happens in place, so a buffer of frames is used up by the first
 * pass over it. Two ways around that are measured:
 *
 *   in place   The masking key flips the lowest bit of every byte, and the
 * texts are valid with and without that. Each pass turns them from one into the
 * other, and nothing has to be restored. with read  Each pass copies the frames
 * to a buffer first, at most 64 KiB at a time, as recv() would. wslay cannot do
 * without that copy, so this is what it is compared with. */
#include <math.h>
#include <string.h>

#include "material.h"
#include "measure.h"
#include "report.h"
#include "sections.h"
#include "wslay_peer.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* What one recv() brings at most. */
#define READ_SIZE (64 * KIB)

/* Frames that are fed one by one lie in a ring that stays in the first cache.
 */
#define RING_SIZE (16 * KIB)

#define HEAD_MAX 14

/* A turn is what arrives at once: whole frames, one or more. */
typedef struct receiving {
  ws_conn *conn;
  wslay_peer *wslay;
  uint8_t *wire;   /* A ring of turns, as the peer sent them. */
  uint8_t *ring;   /* The same, fed where they lie. */
  uint8_t *buffer; /* Where reads go. */
  size_t turn_len;
  size_t ring_len;
  size_t at; /* The next turn. */
  size_t frames_per_turn;
  size_t messages;
} receiving;

/* -- The contenders -------------------------------------------------------- */

/* Takes the place of the next turn. */
static size_t next_turn(receiving *r) {
  const size_t at = r->at;
  r->at = at + r->turn_len < r->ring_len ? at + r->turn_len : 0;
  return at;
}

static void pull(receiving *r) {
  ws_conn_event event;
  while (ws_conn_next_event(r->conn, &event)) {
    r->messages += event.type == WS_EVENT_MESSAGE;
  }
}

static void must_have_come(const receiving *r, size_t times) {
  must(r->messages == times * r->frames_per_turn, "all messages come");
}

static void receive_in_place(void *ctx, size_t times) {
  receiving *r = ctx;
  r->messages = 0;
  for (size_t i = 0; i < times; i++) {
    (void)ws_conn_feed(r->conn, r->ring + next_turn(r), r->turn_len);
    pull(r);
  }
  must_have_come(r, times);
}

/* One recv(): to where the connection would like it, or to the buffer. */
static size_t read_and_feed(receiving *r, const uint8_t *data, size_t len) {
  uint8_t *place;
  size_t room;
  ws_conn_input(r->conn, &place, &room);
  if (room == 0) {
    place = r->buffer;
    room = READ_SIZE;
  }
  const size_t n = len < room ? len : room;
  memcpy(place, data, n);
  (void)ws_conn_feed(r->conn, place, n);
  return n;
}

static void receive_with_read(void *ctx, size_t times) {
  receiving *r = ctx;
  r->messages = 0;
  for (size_t i = 0; i < times; i++) {
    const uint8_t *data = r->wire + next_turn(r);
    size_t left = r->turn_len;
    while (left > 0) {
      const size_t n = read_and_feed(r, data, left);
      data += n;
      left -= n;
      pull(r);
    }
  }
  must_have_come(r, times);
}

static void receive_wslay(void *ctx, size_t times) {
  receiving *r = ctx;
  r->messages = 0;
  for (size_t i = 0; i < times; i++) {
    const uint8_t *data = r->wire + next_turn(r);
    r->messages += wslay_peer_receive(r->wslay, data, r->turn_len);
  }
  must_have_come(r, times);
}

static void copy_only(void *ctx, size_t times) {
  receiving *r = ctx;
  for (size_t i = 0; i < times; i++) {
    const uint8_t *data = r->wire + next_turn(r);
    for (size_t done = 0; done < r->turn_len; done += READ_SIZE) {
      const size_t left = r->turn_len - done;
      memcpy(r->buffer, data + done, left < READ_SIZE ? left : READ_SIZE);
      measure_keep(r->buffer);
    }
  }
}

/* -- Cases ----------------------------------------------------------------- */

typedef struct message_kind {
  const char *name;
  ws_message_type type;
  script script;
} message_kind;

static const message_kind kinds[] = {
    {"text", WS_TEXT, SCRIPT_ASCII},
    {"text, mixed", WS_TEXT, SCRIPT_MIXED},
    {"binary", WS_BINARY, SCRIPT_ASCII},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const size_t sizes[] = {0, 16, 125, KIB, 16 * KIB, 64 * KIB, MIB};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

/* Makes the ring: `turn_count` turns of `frames_per_turn` equal frames. */
static void fill(receiving *r, ws_role role, const message_kind *kind,
                 size_t len, size_t turn_count) {
  uint8_t *payload = allocate(len);
  write_text(kind->script, payload, len);
  uint8_t *frame = allocate(len + HEAD_MAX);
  const size_t frame_len =
      write_frame(frame, kind->type, payload, len, role == WS_ROLE_SERVER);

  r->turn_len = frame_len * r->frames_per_turn;
  r->ring_len = r->turn_len * turn_count;
  r->at = 0;
  r->wire = allocate(r->ring_len);
  for (size_t at = 0; at < r->ring_len; at += frame_len)
    memcpy(r->wire + at, frame, frame_len);
  r->ring = allocate(r->ring_len);
  memcpy(r->ring, r->wire, r->ring_len);
  deallocate(payload);
  deallocate(frame);
}

static size_t at_least_one(size_t count) {
  return count > 0 ? count : 1;
}

static report_mark small_text = {
    .claim = "server, text of 125 B fed alone, ns",
    .sense = REPORT_AT_MOST,
    .limit = 60,
};
static report_mark beside_wslay = {
    .claim = "receiving with read / wslay, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 1,
};

static void report_case(const receiving *r, const contender *group,
                        ws_role role, const message_kind *kind, size_t len) {
  const bool has_wslay = r->wslay != NULL;
  const bool is_alone = r->frames_per_turn == 1;
  const char *role_name = role == WS_ROLE_SERVER ? "server" : "client";
  const double ratio = has_wslay ? measure_ratio(&group[3], &group[2]) : NAN;
  const double values[] = {
      group[0].ns, (double)len / group[0].ns,     group[1].ns,
      group[2].ns, has_wslay ? group[3].ns : NAN, ratio};
  report_row(values, "%s, %s, %s", role_name, kind->name, size_name(len));

  if (has_wslay) {
    report_check(&beside_wslay, ratio, "%s, %s, %s%s", role_name, kind->name,
                 size_name(len), is_alone ? "" : ", many");
  }
  if (is_alone && role == WS_ROLE_SERVER && kind == &kinds[0] && len == 125) {
    report_check(&small_text, group[0].ns, "in place");
  }
}

static void receive_case(ws_role role, const message_kind *kind, size_t len,
                         bool is_alone) {
  pair p = open_pair(NULL);
  receiving r = {
      .conn = role == WS_ROLE_SERVER ? p.server : p.client,
      .wslay = wslay_peer_new(role),
      .buffer = allocate(READ_SIZE),
      .frames_per_turn = is_alone ? 1 : READ_SIZE / (len + HEAD_MAX),
  };
  const size_t turns =
      is_alone ? at_least_one(RING_SIZE / (len + HEAD_MAX)) : 1;
  fill(&r, role, kind, len, turns);

  const double units = (double)r.frames_per_turn;
  contender group[] = {
      {.run = receive_in_place, .ctx = &r, .units = units},
      {.run = copy_only, .ctx = &r, .units = units},
      {.run = receive_with_read, .ctx = &r, .units = units},
      {.run = receive_wslay, .ctx = &r, .units = units},
  };
  measure(group, r.wslay != NULL ? 4 : 3);
  report_case(&r, group, role, kind, len);

  wslay_peer_free(r.wslay);
  close_pair(&p);
  deallocate(r.wire);
  deallocate(r.ring);
  deallocate(r.buffer);
}

static void receive_table(const char *title, bool is_alone) {
  static const report_column columns[] = {
      {"in place", 1},  {"GB/s", 2},  {"memcpy", 1},
      {"with read", 1}, {"wslay", 1}, {"x wslay", 2},
  };
  report_table(title, columns, sizeof(columns) / sizeof(columns[0]));
  if (!wslay_peer_is_there()) report_note("(Built without wslay.)");
  for (ws_role role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
      for (size_t size = 0; size < SIZE_COUNT; size++) {
        const bool is_small = sizes[size] + HEAD_MAX <= READ_SIZE / 2;
        if (is_alone || is_small) {
          receive_case(role, &kinds[kind], sizes[size], is_alone);
        }
      }
    }
  }
}

void bench_receive(void) {
  receive_table("Receiving one message at a time, ns per message", true);
  receive_table("Receiving 64 KiB of messages at a time, ns per message",
                false);
}

/* sending.c - frames out: from the call until the transport has taken the
 * bytes, beside wslay and memcpy.
 *
 * A turn is what the loop of an application does: lend a buffer, send, look at
 * the output, consume all of it, reclaim the buffer. The transport takes
 * everything at once and does nothing with it, for wslay too. */
#include <math.h>
#include <string.h>

#include "material.h"
#include "measure.h"
#include "report.h"
#include "sections.h"
#include "wslay_peer.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* What the loop lends. Longer messages get memory from malloc. */
#define LENT_SIZE (64 * KIB)

/* Messages that are sent in one turn fit the lent buffer with their heads. */
#define MANY_SIZE (60 * KIB)
#define HEAD_MAX  14

typedef struct sending {
  ws_conn *conn;
  wslay_peer *wslay;
  ws_message_type type;
  unsigned flags;
  const uint8_t *payload;
  size_t len;
  size_t messages_per_turn;
  uint8_t *lent;
  uint8_t *copy;
} sending;

/* -- The contenders -------------------------------------------------------- */

static void send_turns(void *ctx, size_t times) {
  const sending *s = ctx;
  for (size_t i = 0; i < times; i++) {
    (void)ws_conn_lend_output(s->conn, s->lent, LENT_SIZE);
    for (size_t message = 0; message < s->messages_per_turn; message++)
      (void)ws_conn_send(s->conn, s->type, s->payload, s->len, s->flags);

    ws_slice slices[8];
    size_t count;
    while ((count = ws_conn_output(s->conn, slices, 8)) > 0) {
      size_t len = 0;
      for (size_t slice = 0; slice < count; slice++)
        len += slices[slice].len;
      ws_conn_consume(s->conn, len);
    }
    must(ws_conn_reclaim_output(s->conn) == 0, "all went out");
  }
  must(ws_conn_state(s->conn) == WS_STATE_OPEN, "sending works");
}

static void send_wslay(void *ctx, size_t times) {
  const sending *s = ctx;
  for (size_t i = 0; i < times; i++)
    wslay_peer_send(s->wslay, s->type, s->payload, s->len,
                    s->messages_per_turn);
}

static void copy_only(void *ctx, size_t times) {
  const sending *s = ctx;
  for (size_t i = 0; i < times * s->messages_per_turn; i++) {
    memcpy(s->copy, s->payload, s->len);
    measure_keep(s->copy);
  }
}

/* -- Cases ----------------------------------------------------------------- */

typedef struct message_kind {
  const char *name;
  ws_message_type type;
  script script;
  unsigned flags;
} message_kind;

static const message_kind kinds[] = {
    {"text", WS_TEXT, SCRIPT_ASCII, 0},
    {"text, mixed", WS_TEXT, SCRIPT_MIXED, 0},
    {"text, known valid", WS_TEXT, SCRIPT_ASCII, WS_SEND_VALID_UTF8},
    {"binary", WS_BINARY, SCRIPT_ASCII, 0},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const size_t sizes[] = {0, 16, 125, KIB, 16 * KIB, 64 * KIB, MIB};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

/* wslay does not look at text that it sends. Checking it is part of what libws
 * does, so the comparison of like with like is a mark of its own. */
static report_mark beside_wslay_alike = {
    .claim = "sending without a check of UTF-8 / wslay, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 1,
};
static report_mark beside_wslay_checked = {
    .claim = "sending checked text / wslay, which checks none, speed",
    .sense = REPORT_AT_LEAST,
    .limit = 1,
};

static void report_case(const sending *s, const contender *group, ws_role role,
                        const message_kind *kind) {
  const bool has_wslay = s->wslay != NULL;
  const char *role_name = role == WS_ROLE_SERVER ? "server" : "client";
  const double ratio = has_wslay ? measure_ratio(&group[2], &group[0]) : NAN;
  const double values[] = {group[0].ns, (double)s->len / group[0].ns,
                           group[1].ns, has_wslay ? group[2].ns : NAN, ratio};
  report_row(values, "%s, %s, %s", role_name, kind->name, size_name(s->len));

  if (!has_wslay) return;
  const bool is_checked = kind->type == WS_TEXT && kind->flags == 0;
  report_check(is_checked ? &beside_wslay_checked : &beside_wslay_alike, ratio,
               "%s, %s, %s%s", role_name, kind->name, size_name(s->len),
               s->messages_per_turn == 1 ? "" : ", many");
}

static void send_case(ws_role role, const message_kind *kind, size_t len,
                      bool is_alone) {
  uint8_t *payload = allocate(len);
  write_text(kind->script, payload, len);
  pair p = open_pair(NULL);
  sending s = {
      .conn = role == WS_ROLE_SERVER ? p.server : p.client,
      .wslay = wslay_peer_new(role),
      .type = kind->type,
      .flags = kind->flags,
      .payload = payload,
      .len = len,
      .messages_per_turn = is_alone ? 1 : MANY_SIZE / (len + HEAD_MAX),
      .lent = allocate(LENT_SIZE),
      .copy = allocate(len),
  };
  const double units = (double)s.messages_per_turn;
  contender group[] = {
      {.run = send_turns, .ctx = &s, .units = units},
      {.run = copy_only, .ctx = &s, .units = units},
      {.run = send_wslay, .ctx = &s, .units = units},
  };
  measure(group, s.wslay != NULL ? 3 : 2);
  report_case(&s, group, role, kind);

  wslay_peer_free(s.wslay);
  close_pair(&p);
  deallocate(payload);
  deallocate(s.lent);
  deallocate(s.copy);
}

static void send_table(const char *title, bool is_alone) {
  static const report_column columns[] = {
      {"libws", 1}, {"GB/s", 2}, {"memcpy", 1}, {"wslay", 1}, {"x wslay", 2},
  };
  report_table(title, columns, sizeof(columns) / sizeof(columns[0]));
  if (!wslay_peer_is_there()) report_note("(Built without wslay.)");
  for (ws_role role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
      for (size_t size = 0; size < SIZE_COUNT; size++) {
        const bool is_small = sizes[size] + HEAD_MAX <= MANY_SIZE / 2;
        if (is_alone || is_small) {
          send_case(role, &kinds[kind], sizes[size], is_alone);
        }
      }
    }
  }
}

void bench_send(void) {
  send_table("Sending one message at a time, ns per message", true);
  send_table("Sending 60 KiB of messages at a time, ns per message", false);
}

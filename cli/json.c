/* json.c - a reader that goes through the text once and stops at the first
 * thing that is not JSON. Every function of it returns false then, and leaves
 * the reason in the reader. */
#include "json.h"

#include <string.h>

#include "encode.h"

/* -- Reading --------------------------------------------------------------- */

typedef struct reader {
  const char *at;
  const char *end;
  const char *reason; /* Why it is no JSON; NULL as long as it is. */
} reader;

static bool fail(reader *r, const char *reason) {
  if (r->reason == NULL) r->reason = reason;
  return false;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(reader *r) {
  while (r->at < r->end && is_blank(*r->at))
    r->at++;
}

/* Takes `c` if it is next. */
static bool take(reader *r, char c) {
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static bool is_digit(const reader *r) {
  return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_digits(reader *r) {
  if (!is_digit(r)) return fail(r, "malformed number");
  while (is_digit(r))
    r->at++;
  return true;
}

static bool skip_number(reader *r) {
  take(r, '-');
  if (!take(r, '0') && !skip_digits(r)) return false;
  if (take(r, '.') && !skip_digits(r)) return false;
  if (take(r, 'e') || take(r, 'E')) {
    if (!take(r, '-')) take(r, '+');
    return skip_digits(r);
  }
  return true;
}

static bool skip_word(reader *r, const char *word) {
  for (; *word != '\0'; word++) {
    if (!take(r, *word)) return fail(r, "unknown word");
  }
  return true;
}

static bool read_four_digits(reader *r, uint32_t *out_unit) {
  uint32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    if (r->at == r->end) return fail(r, "unfinished string");
    const int digit = decode_hex_digit(*r->at++);
    if (digit < 0) return fail(r, "\\u needs four hexadecimal digits");
    unit = unit << 4 | (uint32_t)digit;
  }
  *out_unit = unit;
  return true;
}

/* "To escape an extended character that is not in the Basic Multilingual Plane,
 * the character is represented as a 12-character sequence, encoding the UTF-16
 * surrogate pair" (RFC 8259 section 7). */
static bool read_unicode_escape(reader *r, buffer *out) {
  uint32_t unit;
  uint32_t low;
  if (!read_four_digits(r, &unit)) return false;
  if (unit >= 0xD800 && unit <= 0xDFFF) {
    if (unit > 0xDBFF || !take(r, '\\') || !take(r, 'u')) {
      return fail(r, "surrogate without its pair");
    }
    if (!read_four_digits(r, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) {
      return fail(r, "surrogate without its pair");
    }
    unit = 0x10000 + ((unit - 0xD800) << 10 | (low - 0xDC00));
  }
  encode_utf8(out, unit);
  return true;
}

static bool read_escape(reader *r, buffer *out) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  if (r->at == r->end) return fail(r, "unfinished string");
  const char c = *r->at++;
  if (c == 'u') return read_unicode_escape(r, out);
  const char *const letter = memchr(letters, c, sizeof(letters) - 1);
  if (letter == NULL) return fail(r, "unknown escape in a string");
  buffer_append_char(out, meanings[letter - letters]);
  return true;
}

/* Reads a string and appends what it means. */
static bool read_string(reader *r, buffer *out) {
  if (!take(r, '"')) return fail(r, "a string is missing");
  for (;;) {
    const char *const run = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' &&
           (unsigned char)*r->at >= 0x20)
      r->at++;
    buffer_append(out, run, (size_t)(r->at - run));
    if (take(r, '"')) return true;
    if (r->at == r->end) return fail(r, "unfinished string");
    if (!take(r, '\\')) return fail(r, "control character in a string");
    if (!read_escape(r, out)) return false;
  }
}

static bool skip_string(reader *r) {
  buffer ignored = {0};
  const bool is_good = read_string(r, &ignored);
  buffer_free(&ignored);
  return is_good;
}

/* Reads a name and its colon, and appends what the name means. */
static bool read_name(reader *r, buffer *out) {
  skip_blanks(r);
  if (!read_string(r, out)) return false;
  skip_blanks(r);
  return take(r, ':') || fail(r, "':' is missing");
}

static bool skip_name(reader *r) {
  buffer ignored = {0};
  const bool is_good = read_name(r, &ignored);
  buffer_free(&ignored);
  return is_good;
}

static bool skip_scalar(reader *r) {
  if (r->at == r->end) return fail(r, "a value is missing");
  switch (*r->at) {
  case '"': return skip_string(r);
  case 't': return skip_word(r, "true");
  case 'f': return skip_word(r, "false");
  case 'n': return skip_word(r, "null");
  default: return skip_number(r);
  }
}

/* The arrays and objects that a place is in, the innermost last. */
typedef struct nesting {
  size_t depth;
  bool is_object[JSON_MAX_DEPTH];
} nesting;

static bool is_in_object(const nesting *n) {
  return n->depth > 0 && n->is_object[n->depth - 1];
}

/* Goes into an array or object that begins here. An empty one is left at once,
 * which `*out_is_whole` says. */
static bool enter(reader *r, nesting *n, bool is_object, bool *out_is_whole) {
  if (n->depth == JSON_MAX_DEPTH) return fail(r, "nested too deep");
  skip_blanks(r);
  *out_is_whole = take(r, is_object ? '}' : ']');
  if (*out_is_whole) return true;
  n->is_object[n->depth++] = is_object;
  return !is_object || skip_name(r);
}

/* After a value: leaves what ends here, and goes to the next value, if there is
 * one in what does not. */
static bool leave(reader *r, nesting *n) {
  for (; n->depth > 0; n->depth--) {
    const bool is_object = is_in_object(n);
    skip_blanks(r);
    if (take(r, ',')) return !is_object || skip_name(r);
    if (!take(r, is_object ? '}' : ']')) {
      return fail(r, is_object ? "',' or '}' is missing"
                               : "',' or ']' is missing");
    }
  }
  return true;
}

/* Skips a value and the blanks around it, without recursion: how deep it is
 * nested is the peer's choice. */
static bool skip_value(reader *r) {
  nesting n = {0};
  do {
    bool is_whole = true;
    skip_blanks(r);
    if (take(r, '{')) {
      if (!enter(r, &n, true, &is_whole)) return false;
    } else if (take(r, '[')) {
      if (!enter(r, &n, false, &is_whole)) return false;
    } else if (!skip_scalar(r)) {
      return false;
    }
    if (is_whole && !leave(r, &n)) return false;
  } while (n.depth > 0);
  skip_blanks(r);
  return true;
}

static json_member *find_member(json_member *members, size_t count,
                                const buffer *name) {
  for (size_t i = 0; i < count; i++) {
    if (strlen(members[i].name) == name->len &&
        (name->len == 0 ||
         memcmp(members[i].name, name->data, name->len) == 0)) {
      return &members[i];
    }
  }
  return NULL;
}

static bool read_wanted(reader *r, json_member *member) {
  if (member->is_there) return fail(r, "a member comes twice");
  skip_blanks(r);
  if (r->at == r->end || *r->at != '"') {
    return fail(r, "a member that must be a string is none");
  }
  if (!read_string(r, &member->value)) return false;
  member->is_there = true;
  skip_blanks(r);
  return true;
}

static bool read_member(reader *r, json_member *members, size_t count) {
  buffer name = {0};
  bool is_good = read_name(r, &name);
  if (is_good) {
    json_member *const member = find_member(members, count, &name);
    is_good = member != NULL ? read_wanted(r, member) : skip_value(r);
  }
  if (name.has_failed) is_good = fail(r, "out of memory");
  buffer_free(&name);
  return is_good;
}

static bool read_members(reader *r, json_member *members, size_t count) {
  skip_blanks(r);
  if (!take(r, '{')) return fail(r, "it is no JSON object");
  skip_blanks(r);
  if (!take(r, '}')) {
    do {
      if (!read_member(r, members, count)) return false;
    } while (take(r, ','));
    if (!take(r, '}')) return fail(r, "',' or '}' is missing");
  }
  skip_blanks(r);
  return r->at == r->end || fail(r, "something stands behind the object");
}

bool json_read_object(const char *text, size_t len, json_member *members,
                      size_t count, const char **out_reason) {
  reader r = {.at = text, .end = text + len};
  bool is_good = read_members(&r, members, count);
  for (size_t i = 0; i < count; i++) {
    if (members[i].value.has_failed) is_good = fail(&r, "out of memory");
  }
  if (!is_good) *out_reason = r.reason;
  return is_good;
}

void json_free_members(json_member *members, size_t count) {
  for (size_t i = 0; i < count; i++) {
    buffer_free(&members[i].value);
    members[i].is_there = false;
  }
}

/* -- Writing --------------------------------------------------------------- */

/* "All Unicode characters may be placed within the quotation marks, except for
 * the characters that MUST be escaped: quotation mark, reverse solidus, and the
 * control characters (U+0000 through U+001F)" (RFC 8259 section 7). */
static void append_string(buffer *out, const char *text, size_t len) {
  buffer_append_char(out, '"');
  const char *const end = text + len;
  while (text < end) {
    const char *const run = text;
    while (text < end && *text != '"' && *text != '\\' &&
           (unsigned char)*text >= 0x20)
      text++;
    buffer_append(out, run, (size_t)(text - run));
    if (text == end) break;
    const char c = *text++;
    if (c == '"' || c == '\\') buffer_printf(out, "\\%c", c);
    else if (c == '\n') buffer_append_text(out, "\\n");
    else buffer_printf(out, "\\u%04x", (unsigned)c);
  }
  buffer_append_char(out, '"');
}

/* A comma goes before every member but the first, which follows the brace. */
static void begin_member(buffer *out, const char *name) {
  if (out->len > 0 && out->data[out->len - 1] != '{') {
    buffer_append_char(out, ',');
  }
  append_string(out, name, strlen(name));
  buffer_append_char(out, ':');
}

void json_begin(buffer *out) {
  buffer_append_char(out, '{');
}

void json_add_string(buffer *out, const char *name, const char *text,
                     size_t len) {
  begin_member(out, name);
  append_string(out, text, len);
}

void json_add_text(buffer *out, const char *name, const char *text) {
  json_add_string(out, name, text, strlen(text));
}

void json_add_base64(buffer *out, const char *name, const uint8_t *data,
                     size_t len) {
  begin_member(out, name);
  buffer_append_char(out, '"');
  encode_base64(out, data, len);
  buffer_append_char(out, '"');
}

void json_add_integer(buffer *out, const char *name, uint64_t number) {
  begin_member(out, name);
  buffer_printf(out, "%llu", (unsigned long long)number);
}

void json_add_number(buffer *out, const char *name, double number) {
  begin_member(out, name);
  buffer_printf(out, "%.6g", number);
}

void json_add_bool(buffer *out, const char *name, bool value) {
  begin_member(out, name);
  buffer_append_text(out, value ? "true" : "false");
}

void json_end(buffer *out) {
  buffer_append_char(out, '}');
}

/* json.h - as much JSON (RFC 8259) as lines of events and a chat need.
 *
 * What is read is one object, of which the caller wants some members that are
 * strings; the rest has to be JSON all the same. What is written is one object
 * of strings, numbers and booleans. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdint.h>

#include "buffer.h"

/* How deep arrays and objects may be nested in a member. */
#define JSON_MAX_DEPTH 32

/* A member that is wanted. `value` is UTF-8 and may contain NUL; the caller
 * frees it. */
typedef struct json_member {
  const char *name;
  bool is_there;
  buffer value;
} json_member;

/* Reads an object from `text`, which is UTF-8. Strict: nothing but blanks may
 * stand around it, no member may come twice that is wanted, a surrogate must
 * have its pair. Returns false if it is not such, or a wanted member is no
 * string, and then `*out_reason` is a static string that says why. */
bool json_read_object(const char *text, size_t len, json_member *members,
                      size_t count, const char **out_reason);

/* Frees the values, and leaves the members as before json_read_object(). */
void json_free_members(json_member *members, size_t count);

/* Write an object, member by member. Text is UTF-8. */
void json_begin(buffer *out);
void json_add_string(buffer *out, const char *name, const char *text,
                     size_t len);
void json_add_text(buffer *out, const char *name, const char *text);
void json_add_base64(buffer *out, const char *name, const uint8_t *data,
                     size_t len);
void json_add_integer(buffer *out, const char *name, uint64_t number);
void json_add_number(buffer *out, const char *name, double number);
void json_add_bool(buffer *out, const char *name, bool value);
void json_end(buffer *out);

#endif

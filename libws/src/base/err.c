/* err.c - names and messages of the errors, from the one list in ws/base.h. */
#include "ws/base.h"

const char *ws_err_name(int err) {
  switch (err) {
  case WS_OK: return "OK";
#define NAME(name, number, text) \
  case number: return #name;
    WS_ERR_MAP(NAME)
#undef NAME
  }
  return "UNKNOWN";
}

const char *ws_strerror(int err) {
  switch (err) {
  case WS_OK: return "no error";
#define TEXT(name, number, text) \
  case number: return text;
    WS_ERR_MAP(TEXT)
#undef TEXT
  }
  return "unknown error";
}

#define STRING_OF(x) #x
#define VERSION(major, minor, patch) \
  STRING_OF(major) "." STRING_OF(minor) "." STRING_OF(patch)

const char *ws_version(void) {
  return VERSION(WS_VERSION_MAJOR, WS_VERSION_MINOR, WS_VERSION_PATCH);
}

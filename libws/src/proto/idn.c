/* idn.c - see idn.h. */
#include "proto/idn.h"

#ifndef WS_HAVE_IDN2
#define WS_HAVE_IDN2 0
#endif
#ifndef WS_IDN_DLOPEN
#define WS_IDN_DLOPEN 0
#endif

#if WS_IDN_DLOPEN
#include <dlfcn.h>
#include <string.h>

/* What idn2.h says; the numbers are part of the library's ABI. */
#define IDN2_OK              0
#define IDN2_MALLOC          (-100)
#define IDN2_NFC_INPUT       1
#define IDN2_NONTRANSITIONAL 8
#elif WS_HAVE_IDN2
#include <idn2.h>
#endif

#if WS_HAVE_IDN2 || WS_IDN_DLOPEN

/* The two functions of libidn2 that we need. */
typedef struct idn2 {
  void *handle; /* NULL when it is linked. */
  int (*lookup)(const uint8_t *name, uint8_t **out_ascii, int flags);
  void (*free)(void *ascii);
} idn2;

#if WS_IDN_DLOPEN

/* ISO C has no way to make a function of what dlsym() returns; POSIX promises
 * that they look alike. */
static bool find(const idn2 *library, const char *name, void *out_function) {
  void *symbol = dlsym(library->handle, name);
  memcpy(out_function, &symbol, sizeof(symbol));
  return symbol != NULL;
}

static void unload(idn2 *library) {
  if (library->handle != NULL) (void)dlclose(library->handle);
}

/* Nothing is kept, since the library has no state of its own to keep it in:
 * names beyond ASCII are rare. */
static bool load(idn2 *library) {
  static const char *const names[] = {"libidn2.so.0", "libidn2.0.dylib"};
  *library = (idn2){.handle = NULL};
  const size_t count = sizeof(names) / sizeof(names[0]);
  for (size_t i = 0; i < count && library->handle == NULL; i++)
    library->handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (library->handle != NULL &&
      find(library, "idn2_lookup_u8", &library->lookup) &&
      find(library, "idn2_free", &library->free)) {
    return true;
  }
  unload(library);
  return false;
}

#else

static bool load(idn2 *library) {
  *library = (idn2){.lookup = idn2_lookup_u8, .free = idn2_free};
  return true;
}

static void unload(idn2 *library) {
  (void)library;
}

#endif

static int replace(ws__buf *host, const ws_allocator *allocator, idn2 *library,
                   const char **out_reason) {
  uint8_t *ascii = NULL;
  const int result = library->lookup(host->data, &ascii,
                                     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (result == IDN2_MALLOC) return WS_ERR_NO_MEMORY;
  if (result != IDN2_OK) {
    *out_reason = "the host is not a valid international domain name";
    return WS_ERR_SYNTAX;
  }
  host->len = 0;
  const int err = ws__buf_append_str(host, allocator, (const char *)ascii);
  library->free(ascii);
  return err;
}

int ws__idn_to_ascii(ws__buf *host, const ws_allocator *allocator,
                     const char **out_reason) {
  int err = ws__buf_append(host, allocator, "", 1);
  if (err != 0) return err;
  idn2 library;
  if (!load(&library)) {
    *out_reason = "international domain names need libidn2, which is not here";
    return WS_ERR_SYNTAX;
  }
  err = replace(host, allocator, &library, out_reason);
  unload(&library);
  return err;
}

#else

int ws__idn_to_ascii(ws__buf *host, const ws_allocator *allocator,
                     const char **out_reason) {
  (void)host;
  (void)allocator;
  *out_reason = "this build has no international domain names (libidn2)";
  return WS_ERR_SYNTAX;
}

#endif

/* options.h - keyword options. Which there are, and what they set, stands in
 * tables. */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include "convert.h"

/* ws_conn_options, and what they are borrowed from. Release it after use. */
typedef struct core_conn_options {
  ws_conn_options is;
  core_strings origins;
  core_strings hosts;
} core_conn_options;

void core_conn_options_init(core_conn_options *options);
void core_conn_options_release(core_conn_options *options);

/* Sets the option `name`. Returns 1, 0 if there is none of this name, or -1. */
int core_conn_options_set(core_conn_options *options, PyObject *name,
                          PyObject *value);

/* One further option of a constructor: sets `target` to the value, which is
 * never NULL and may be None. */
typedef struct core_option {
  const char *name;
  int (*set)(void *target, PyObject *value);
} core_option;

/* Sets every option of `dict` (may be NULL or None): from `own`, a table that
 * ends with a NULL name, or else from those of a connection, if `conn` is not
 * NULL. TypeError for those that are in neither. */
int core_options_set(PyObject *dict, const core_option *own, void *target,
                     core_conn_options *conn);

/* For tables. None leaves what is there. */
int core_option_bool(PyObject *value, bool *out);
int core_option_u16(PyObject *value, const char *name, uint16_t *out);
int core_option_u32(PyObject *value, const char *name, uint32_t *out);
int core_option_text(PyObject *value, const char *name, const char **out);

#endif

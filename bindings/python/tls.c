#include "tls.h"
#include "convert.h"
#include "errors.h"
#include "options.h"

#include <stddef.h>

/* What one is, as strings borrowed from what `owner` holds. */
typedef struct identity {
  const char *certfile;
  const char *certdata;
  const char *keyfile;
  const char *keydata;
  const char *password;
} identity;

typedef struct core_tls_options {
  PyObject_HEAD
  PyObject *owner; /* A list of what the strings are borrowed from. */
  identity own;
  identity *others; /* Further certificates of a server. */
  size_t other_count;
  const char *cafile;
  const char *cadata;
  const char *capath;
  ws_tls_policy policy;
  ws_tls_client_auth client_auth;
  bool insecure_no_verify;
  /* Made when first needed. */
  ws_tls_context *client;
  ws_tls_context *server;
} core_tls_options;

/* -- Options --------------------------------------------------------------- */

/* A string whose owner lives as long as the options. */
static int take_text(core_tls_options *self, PyObject *value, const char *name,
                     const char **out) {
  if (value == Py_None) return 0;
  /* Paths may be pathlib's. */
  PyObject *text =
      PyUnicode_Check(value) ? Py_NewRef(value) : PyOS_FSPath(value);
  if (text == NULL) return -1;
  *out = core_c_string(text, name);
  const int result = *out != NULL ? PyList_Append(self->owner, text) : -1;
  Py_DECREF(text);
  return result;
}

/* Strings, each at its place in a struct. */
typedef struct text_option {
  const char *name;
  size_t offset;
} text_option;

static const text_option identity_texts[] = {
    {"certfile", offsetof(identity, certfile)},
    {"certdata", offsetof(identity, certdata)},
    {"keyfile", offsetof(identity, keyfile)},
    {"keydata", offsetof(identity, keydata)},
    {"password", offsetof(identity, password)},
    {0}};

static const text_option own_texts[] = {
    {"cafile", offsetof(core_tls_options, cafile)},
    {"cadata", offsetof(core_tls_options, cadata)},
    {"capath", offsetof(core_tls_options, capath)},
    {"ciphers", offsetof(core_tls_options, policy.ciphers)},
    {"cipher_suites", offsetof(core_tls_options, policy.cipher_suites)},
    {0}};

/* Returns 1, 0 if the table has no such name, or -1. */
static int set_text(core_tls_options *self, const text_option *table,
                    void *target, PyObject *name, PyObject *value) {
  for (; table->name != NULL; table++) {
    if (PyUnicode_CompareWithASCIIString(name, table->name) != 0) continue;
    const char **place = (const char **)((char *)target + table->offset);
    return take_text(self, value, table->name, place) < 0 ? -1 : 1;
  }
  return 0;
}

/* One of a few words, as its place in the list. None is the first. */
static int get_word(PyObject *value, const char *name, const char *const *words,
                    int *out) {
  if (value == Py_None) return 0;
  for (int i = 0; PyUnicode_Check(value) && words[i] != NULL; i++) {
    if (PyUnicode_CompareWithASCIIString(value, words[i]) == 0) {
      *out = i;
      return 0;
    }
  }
  PyErr_Format(PyExc_ValueError, "%s cannot be %R", name, value);
  return -1;
}

static int get_version(PyObject *value, const char *name, ws_tls_version *out) {
  static const char *const words[] = {"", "1.2", "1.3", NULL};
  int word = 0;
  if (get_word(value, name, words, &word) < 0) return -1;
  *out = (ws_tls_version)word;
  return 0;
}

static int set_client_auth(void *target, PyObject *value) {
  static const char *const words[] = {"none", "optional", "required", NULL};
  int word = 0;
  if (get_word(value, "client_auth", words, &word) < 0) return -1;
  ((core_tls_options *)target)->client_auth = (ws_tls_client_auth)word;
  return 0;
}

static int set_min_version(void *target, PyObject *value) {
  return get_version(value, "min_version",
                     &((core_tls_options *)target)->policy.min_version);
}

static int set_max_version(void *target, PyObject *value) {
  return get_version(value, "max_version",
                     &((core_tls_options *)target)->policy.max_version);
}

static int set_insecure(void *target, PyObject *value) {
  return core_option_bool(value,
                          &((core_tls_options *)target)->insecure_no_verify);
}

static int fill_identity(core_tls_options *self, identity *out,
                         PyObject *dict) {
  if (!PyDict_Check(dict)) {
    PyErr_SetString(PyExc_TypeError, "certificates must be dicts");
    return -1;
  }
  PyObject *name;
  PyObject *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(dict, &at, &name, &value)) {
    const int found = PyUnicode_Check(name)
                          ? set_text(self, identity_texts, out, name, value)
                          : 0;
    if (found == 0) {
      PyErr_Format(PyExc_TypeError, "a certificate has no %R", name);
    }
    if (found <= 0) return -1;
  }
  return 0;
}

static int set_certificates(void *target, PyObject *value) {
  core_tls_options *self = target;
  if (value == Py_None) return 0;
  PyObject *list = PySequence_List(value);
  if (list == NULL) return -1;
  const size_t count = (size_t)PyList_GET_SIZE(list);
  self->others = PyMem_Calloc(count + 1, sizeof(identity));
  if (self->others == NULL) {
    Py_DECREF(list);
    PyErr_NoMemory();
    return -1;
  }
  int result = 0;
  for (size_t i = 0; i < count && result == 0; i++) {
    self->other_count++;
    result = fill_identity(self, &self->others[i],
                           PyList_GET_ITEM(list, (Py_ssize_t)i));
  }
  Py_DECREF(list);
  return result;
}

static const core_option options[] = {
    {"client_auth", set_client_auth},   {"min_version", set_min_version},
    {"max_version", set_max_version},   {"insecure_no_verify", set_insecure},
    {"certificates", set_certificates}, {0}};

static int set_options(core_tls_options *self, PyObject *kwargs) {
  PyObject *rest = PyDict_New();
  if (rest == NULL) return -1;
  PyObject *name;
  PyObject *value;
  Py_ssize_t at = 0;
  int result = 0;
  while (result == 0 && PyDict_Next(kwargs, &at, &name, &value)) {
    int found = set_text(self, own_texts, self, name, value);
    if (found == 0)
      found = set_text(self, identity_texts, &self->own, name, value);
    if (found == 0) found = PyDict_SetItem(rest, name, value) < 0 ? -1 : 1;
    if (found < 0) result = -1;
  }
  if (result == 0) result = core_options_set(rest, options, self, NULL);
  Py_DECREF(rest);
  return result;
}

/* -- Contexts -------------------------------------------------------------- */

static ws_tls_identity identity_of(const identity *from) {
  return (ws_tls_identity){
      .certificate = {.file = from->certfile, .text = from->certdata},
      .key = {.file = from->keyfile, .text = from->keydata},
      .passphrase = from->password};
}

static int make_client(core_state *state, core_tls_options *self) {
  ws_tls_client_options o;
  ws_tls_client_options_init(&o);
  o.policy = self->policy;
  o.ca = (ws_tls_pem){.file = self->cafile, .text = self->cadata};
  o.ca_dir = self->capath;
  o.identity = identity_of(&self->own);
  o.insecure_no_verify = self->insecure_no_verify;
  ws_error error = {.message = ""};
  const int err = ws_tls_client_new(&o, &self->client, &error);
  return err != 0 ? core_raise(state, err, error.message) : 0;
}

/* The own certificate first; the array is the caller's. */
static ws_tls_identity *identities_of(const core_tls_options *self) {
  ws_tls_identity *all = PyMem_New(ws_tls_identity, self->other_count + 1);
  if (all == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  all[0] = identity_of(&self->own);
  for (size_t i = 0; i < self->other_count; i++)
    all[i + 1] = identity_of(&self->others[i]);
  return all;
}

static int make_server(core_state *state, core_tls_options *self) {
  if (self->own.certfile == NULL && self->own.certdata == NULL) {
    PyErr_SetString(PyExc_ValueError,
                    "a server's TLSOptions need certfile or certdata");
    return -1;
  }
  ws_tls_identity *identities = identities_of(self);
  if (identities == NULL) return -1;
  ws_tls_server_options o;
  ws_tls_server_options_init(&o);
  o.policy = self->policy;
  o.identities = identities;
  o.identity_count = self->other_count + 1;
  o.client_auth = self->client_auth;
  o.client_ca = (ws_tls_pem){.file = self->cafile, .text = self->cadata};
  ws_error error = {.message = ""};
  const int err = ws_tls_server_new(&o, &self->server, &error);
  PyMem_Free(identities);
  return err != 0 ? core_raise(state, err, error.message) : 0;
}

static int refuse_type(PyObject *tls) {
  PyErr_Format(PyExc_TypeError,
               "tls must be TLSOptions, a bool or None, not %.100s",
               Py_TYPE(tls)->tp_name);
  return -1;
}

int core_tls_client_context(core_state *state, PyObject *tls,
                            ws_tls_context **out_context, bool *out_refused) {
  *out_context = NULL;
  *out_refused = tls == Py_False;
  if (tls == NULL || tls == Py_None || PyBool_Check(tls)) return 0;
  if (!PyObject_TypeCheck(tls, state->tls_options_type)) {
    return refuse_type(tls);
  }
  core_tls_options *self = (core_tls_options *)tls;
  if (self->client == NULL && make_client(state, self) < 0) return -1;
  *out_context = self->client;
  return 0;
}

int core_tls_server_context(core_state *state, PyObject *tls,
                            ws_tls_context **out_context) {
  *out_context = NULL;
  if (tls == NULL || tls == Py_None || tls == Py_False) return 0;
  if (tls == Py_True) {
    PyErr_SetString(PyExc_ValueError,
                    "tls of a server must be TLSOptions with a certificate");
    return -1;
  }
  if (!PyObject_TypeCheck(tls, state->tls_options_type)) {
    return refuse_type(tls);
  }
  core_tls_options *self = (core_tls_options *)tls;
  if (self->server == NULL && make_server(state, self) < 0) return -1;
  *out_context = self->server;
  return 0;
}

/* -- The type -------------------------------------------------------------- */

static int tls_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_tls_options *self = (core_tls_options *)op;
  if (PyTuple_GET_SIZE(args) > 0) {
    PyErr_SetString(PyExc_TypeError, "TLSOptions takes keywords only");
    return -1;
  }
  if (self->owner != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "TLSOptions do not change");
    return -1;
  }
  self->owner = PyList_New(0);
  if (self->owner == NULL) return -1;
  return kwargs != NULL ? set_options(self, kwargs) : 0;
}

static void tls_dealloc(PyObject *op) {
  core_tls_options *self = (core_tls_options *)op;
  ws_tls_context_free(self->client);
  ws_tls_context_free(self->server);
  PyMem_Free(self->others);
  Py_XDECREF(self->owner);
  core_free(op);
}

static PyObject *tls_reload(PyObject *op, PyObject *unused) {
  (void)unused;
  core_tls_options *self = (core_tls_options *)op;
  if (self->server == NULL) Py_RETURN_NONE;
  ws_tls_identity *identities = identities_of(self);
  if (identities == NULL) return NULL;
  ws_error error = {.message = ""};
  const int err =
      ws_tls_reload(self->server, identities, self->other_count + 1, &error);
  PyMem_Free(identities);
  if (err != 0) {
    core_raise(core_state_of(Py_TYPE(op)), err, error.message);
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyMethodDef tls_methods[] = {
    {"reload", tls_reload, METH_NOARGS,
     "reload($self, /)\n--\n\n"
     "Read the certificates of a server again, for connections to come."},
    {0}};

/* It refers to strings alone, so the collector need not see it. */
static PyType_Slot tls_slots[] = {
    {Py_tp_doc,
     "TLSOptions(*, cafile=None, cadata=None, capath=None, certfile=None,\n"
     "           certdata=None, keyfile=None, keydata=None, password=None,\n"
     "           certificates=(), client_auth=\"none\", min_version=None,\n"
     "           max_version=None, ciphers=None, cipher_suites=None,\n"
     "           insecure_no_verify=False)\n--\n\n"
     "Whom to trust and who one is. PEM data is the name of a file or text."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, tls_init},
    {Py_tp_dealloc, tls_dealloc},
    {Py_tp_methods, tls_methods},
    {0, NULL}};

static PyType_Spec tls_spec = {.name = "libws.TLSOptions",
                               .basicsize = sizeof(core_tls_options),
                               .flags = Py_TPFLAGS_DEFAULT |
                                        Py_TPFLAGS_IMMUTABLETYPE,
                               .slots = tls_slots};

int core_add_tls(PyObject *module) {
  return core_add_type(module, &tls_spec, NULL,
                       &core_state_of_module(module)->tls_options_type);
}

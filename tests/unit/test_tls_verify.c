/* test_tls_verify.c - who is let in and who is not, and what is said about it:
 * certificates, names, versions, client certificates, several certificates on
 * one server. */
#include "test.h"
#include "tls_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST "a.test"

static cert *root;       /* Trusted. */
static cert *other_root; /* Not trusted. */
static cert *leaf;       /* For HOST and 127.0.0.1. */

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  other_root = cert_new(&(cert_spec){.common_name = "Other", .is_ca = true});
  leaf = cert_new(&(cert_spec){.common_name = "leaf",
                               .alt_names = "DNS:" HOST ",IP:127.0.0.1,IP:::1",
                               .issuer = root});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(other_root);
  cert_free(leaf);
  return 0;
}

/* -- Helpers --------------------------------------------------------------- */

static char *joined(const char *a, const char *b) {
  const size_t size = strlen(a) + strlen(b) + 1;
  char *text = malloc(size);
  assert_non_null(text);
  snprintf(text, size, "%s%s", a, b);
  return text;
}

/* A pair whose client trusts `ca` and whose server shows `c`. */
static void set_up(tls_pair *pair, const char *ca, const cert *c) {
  const ws_tls_identity identity = tls_identity(c);
  const ws_tls_client_options client = {.ca.text = ca};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair_init(pair, &ws__malloc, &client, &server);
}

static void assert_client_failed(const tls_pair *pair, int error,
                                 const char *detail) {
  if (pair->client_status != WS__TLS_FAILED ||
      ws__tls_error(pair->client) != error ||
      strcmp(ws__tls_detail(pair->client), detail) != 0) {
    fail_msg("expected %s: %s\nstatus %d, %s: %s", ws_err_name(error), detail,
             pair->client_status, ws_err_name(ws__tls_error(pair->client)),
             ws__tls_detail(pair->client));
  }
}

static void assert_server_failed(const tls_pair *pair, int error,
                                 const char *detail) {
  if (pair->server_status != WS__TLS_FAILED ||
      ws__tls_error(pair->server) != error ||
      strcmp(ws__tls_detail(pair->server), detail) != 0) {
    fail_msg("expected %s: %s\nstatus %d, %s: %s", ws_err_name(error), detail,
             pair->server_status, ws_err_name(ws__tls_error(pair->server)),
             ws__tls_detail(pair->server));
  }
}

/* A client that refuses its peer sends nothing of what it was to say, and the
 * peer learns why. */
static void assert_refused(const cert_spec *spec, const char *host,
                           const char *detail) {
  cert *c = cert_new(spec);
  tls_pair pair;
  set_up(&pair, root->certificate, c);
  tls_pair_connect(&pair, host);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_CERTIFICATE, detail);
  const struct iovec request = {(void *)(uintptr_t) "GET", 3};
  size_t n;
  assert_int_equal(ws__tls_write(pair.client, &request, 1, &n), WS__TLS_FAILED);
  assert_int_equal(n, 0);
  assert_int_equal(pair.server_status, WS__TLS_FAILED);
  assert_int_equal(ws__tls_error(pair.server), WS_ERR_TLS);
  assert_non_null(strstr(ws__tls_detail(pair.server), "alert from the peer"));
  tls_pair_free(&pair);
  cert_free(c);
}

static void assert_accepted(const cert *c, const char *host) {
  tls_pair pair;
  set_up(&pair, root->certificate, c);
  tls_pair_open(&pair, host);
  assert_carried(pair.client, pair.server, "hello");
  tls_pair_free(&pair);
}

/* -- Certificates that are refused (A-51) ---------------------------------- */

static void the_reason_of_a_refusal_is_named(void **state) {
  (void)state;
  static const char with_nul[] = HOST "\0.evil.test";
  const struct {
    cert_spec spec;
    const char *host;
    const char *detail;
  } rows[] = {
      {{.alt_names = "DNS:" HOST,
        .issuer = root,
        .valid_from = -9,
        .valid_until = -1},
       HOST,
       "certificate has expired"},
      {{.alt_names = "DNS:" HOST,
        .issuer = root,
        .valid_from = 1,
        .valid_until = 9},
       HOST,
       "certificate is not yet valid"},
      {{.alt_names = "DNS:" HOST}, HOST, "self-signed certificate"},
      {{.alt_names = "DNS:" HOST, .issuer = other_root},
       HOST,
       "unable to get local issuer certificate"},
      {{.alt_names = "DNS:b.test,DNS:*.c.test,IP:10.0.0.1", .issuer = root},
       HOST,
       "hostname mismatch: certificate is for b.test, *.c.test, 10.0.0.1"},
      {{.alt_names = "DNS:" HOST ",IP:127.0.0.1", .issuer = root},
       "127.0.0.2",
       "IP address mismatch: certificate is for a.test, 127.0.0.1"},
      {{.alt_names = "IP:::1", .issuer = root},
       "[::2]",
       "IP address mismatch: certificate is for ::1"},
      {{.alt_names = "DNS:127.0.0.1", .issuer = root},
       "127.0.0.1",
       "IP address mismatch: certificate is for 127.0.0.1"},
      {{.common_name = HOST, .issuer = root},
       HOST,
       "hostname mismatch: certificate is for no host (no subjectAltName)"},
      {{.alt_names = "DNS:*.test", .issuer = root},
       HOST,
       "hostname mismatch: certificate is for *.test"},
      {{.alt_names = "DNS:*.a.test", .issuer = root},
       HOST,
       "hostname mismatch: certificate is for *.a.test"},
      {{.alt_names = "DNS:*.a.test", .issuer = root},
       "y.x.a.test",
       "hostname mismatch: certificate is for *.a.test"},
      {{.alt_names = "DNS:x*.a.test", .issuer = root},
       "xy.a.test",
       "hostname mismatch: certificate is for x*.a.test"},
      {{.raw_name = with_nul,
        .raw_name_len = sizeof(with_nul) - 1,
        .issuer = root},
       HOST,
       "hostname mismatch: certificate is for a.test?.evil.test"},
      {{.raw_name = "\x1b[2Jevil", .raw_name_len = 8, .issuer = root},
       HOST,
       "hostname mismatch: certificate is for ?[2Jevil"},
      {{.alt_names = "DNS:" HOST, .issuer = root, .is_client = true},
       HOST,
       "unsuitable certificate purpose"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    cert_spec spec = rows[i].spec;
    if (spec.common_name == NULL) spec.common_name = "leaf";
    assert_refused(&spec, rows[i].host, rows[i].detail);
  }
}

static void long_lists_of_hosts_are_cut(void **state) {
  (void)state;
  char names[600] = "DNS:b.test";
  for (int i = 0; i < 40; i++)
    strcat(names, ",DNS:bbbb.test");
  cert *c = cert_new(
      &(cert_spec){.common_name = "leaf", .alt_names = names, .issuer = root});
  tls_pair pair;
  set_up(&pair, root->certificate, c);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_int_equal(ws__tls_error(pair.client), WS_ERR_CERTIFICATE);
  assert_int_equal(strlen(ws__tls_detail(pair.client)), WS__DETAIL_SIZE - 1);
  tls_pair_free(&pair);
  cert_free(c);
}

static void an_expired_issuer_is_told_from_an_expired_leaf(void **state) {
  (void)state;
  cert *middle = cert_new(&(cert_spec){.common_name = "Middle",
                                       .is_ca = true,
                                       .issuer = root,
                                       .valid_from = -9,
                                       .valid_until = -1});
  cert *c = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:" HOST, .issuer = middle});
  char *chain = joined(c->certificate, middle->certificate);
  const cert shown = {.certificate = chain, .key = c->key};
  tls_pair pair;
  set_up(&pair, root->certificate, &shown);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_CERTIFICATE,
                       "certificate has expired (certificate 2 of the chain)");
  tls_pair_free(&pair);
  free(chain);
  cert_free(c);
  cert_free(middle);
}

static void a_chain_is_as_long_as_allowed_and_no_longer(void **state) {
  (void)state;
  enum {
    MIDDLES = 10,
    ALLOWED = 8
  };
  cert *middle[MIDDLES];
  for (int i = 0; i < MIDDLES; i++) {
    const char name[] = {'M', (char)('0' + i), '\0'};
    middle[i] = cert_new(&(cert_spec){.common_name = name,
                                      .is_ca = true,
                                      .issuer = i > 0 ? middle[i - 1] : root});
  }
  for (int count = ALLOWED; count <= ALLOWED + 1; count++) {
    cert *c = cert_new(&(cert_spec){.common_name = "leaf",
                                    .alt_names = "DNS:" HOST,
                                    .issuer = middle[count - 1]});
    char *chain = joined(c->certificate, "");
    for (int i = count; i-- > 0;) {
      char *longer = joined(chain, middle[i]->certificate);
      free(chain);
      chain = longer;
    }
    const cert shown = {.certificate = chain, .key = c->key};
    tls_pair pair;
    set_up(&pair, root->certificate, &shown);
    tls_pair_connect(&pair, HOST);
    tls_pair_shake(&pair);
    if (count == ALLOWED) {
      assert_int_equal(pair.client_status, WS__TLS_OK);
    } else {
      assert_int_equal(ws__tls_error(pair.client), WS_ERR_CERTIFICATE);
    }
    tls_pair_free(&pair);
    free(chain);
    cert_free(c);
  }
  for (int i = 0; i < MIDDLES; i++)
    cert_free(middle[i]);
}

static void a_name_outside_of_the_issuers_constraints_is_refused(void **state) {
  (void)state;
  cert *narrow =
      cert_new(&(cert_spec){.common_name = "Narrow",
                            .is_ca = true,
                            .name_constraints = "permitted;DNS:b.test"});
  cert *c = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:" HOST, .issuer = narrow});
  tls_pair pair;
  set_up(&pair, narrow->certificate, c);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_CERTIFICATE,
                       "permitted subtree violation");
  tls_pair_free(&pair);
  cert_free(c);
  cert_free(narrow);
}

static void a_revoked_certificate_is_refused(void **state) {
  (void)state;
  cert *revoked = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:" HOST, .issuer = root});
  char *list = cert_revocation_list(root, revoked);
  char *ca = joined(root->certificate, list);
  tls_pair pair;
  set_up(&pair, ca, revoked);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_CERTIFICATE, "certificate revoked");
  tls_pair_free(&pair);

  set_up(&pair, ca, leaf);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);
  free(ca);
  free(list);
  cert_free(revoked);
}

/* A server of ours would not show such a key, so the weak one is the root's. */
static void a_weak_key_in_the_chain_is_refused(void **state) {
  (void)state;
  cert *weak = cert_new(
      &(cert_spec){.common_name = "Weak", .is_ca = true, .rsa_bits = 1024});
  cert *c = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:" HOST, .issuer = weak});
  tls_pair pair;
  set_up(&pair, weak->certificate, c);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(
      &pair, WS_ERR_CERTIFICATE,
      "CA certificate key too weak (certificate 2 of the chain)");
  tls_pair_free(&pair);
  cert_free(c);
  cert_free(weak);
}

/* -- Certificates that are taken ------------------------------------------- */

static void the_host_may_be_written_in_any_way(void **state) {
  (void)state;
  static const char *const hosts[] = {HOST,        "A.TEST", HOST ".",
                                      "127.0.0.1", "::1",    "[::1]"};
  for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
    assert_accepted(leaf, hosts[i]);
  cert *wildcard = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:*.a.test", .issuer = root});
  assert_accepted(wildcard, "x.a.test");
  cert_free(wildcard);
}

static void a_self_signed_certificate_may_be_trusted_by_itself(void **state) {
  (void)state;
  cert *c =
      cert_new(&(cert_spec){.common_name = "leaf", .alt_names = "DNS:" HOST});
  tls_pair pair;
  set_up(&pair, c->certificate, c);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);
  cert_free(c);
}

static void only_the_option_called_insecure_takes_anything(void **state) {
  (void)state;
  cert *c = cert_new(
      &(cert_spec){.common_name = "leaf", .valid_from = -9, .valid_until = -1});
  const ws_tls_identity identity = tls_identity(c);
  const ws_tls_client_options client = {.insecure_no_verify = true};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);
  cert_free(c);
}

static void a_host_must_have_1_to_255_characters(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair, root->certificate, leaf);
  char host[300];
  memset(host, 'a', sizeof(host));
  host[256] = '\0';
  char detail[WS__DETAIL_SIZE];
  ws__tls *tls;
  assert_int_equal(ws__tls_connect(pair.client_context, &ws__malloc, 0, host,
                                   443, &tls, detail),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws__tls_connect(pair.client_context, &ws__malloc, 0, "", 443,
                                   &tls, detail),
                   WS_ERR_INVALID_ARGUMENT);
  tls_pair_free(&pair);
}

/* -- Stores ---------------------------------------------------------------- */

static void assert_no_client(const ws_tls_client_options *options, int error,
                             const char *detail) {
  ws_tls_context *context;
  char text[WS__DETAIL_SIZE] = "";
  assert_int_equal(ws__tls_client_context(&ws__malloc, options, &context, text),
                   error);
  if (strstr(text, detail) == NULL) {
    fail_msg("expected: %s\nfound: %s", detail, text);
  }
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void a_system_without_a_store_is_told_so(void **state) {
  (void)state;
  setenv("SSL_CERT_FILE", "/nonexistent/file", 1);
  setenv("SSL_CERT_DIR", "/nonexistent/one:/nonexistent/two", 1);
  assert_no_client(&(ws_tls_client_options){0}, WS_ERR_TLS,
                   "no CA certificates on this system: nothing in "
                   "/nonexistent/one:/nonexistent/two");

  char path[] = "/tmp/test_tls_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  write_file(path, root->certificate);
  setenv("SSL_CERT_FILE", path, 1);
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &(ws_tls_client_options){0}, &server);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);
  unlink(path);
  unsetenv("SSL_CERT_FILE");
  unsetenv("SSL_CERT_DIR");
}

static void certificates_may_lie_in_files_and_folders(void **state) {
  (void)state;
  char dir[] = "/tmp/test_tls_XXXXXX";
  assert_non_null(mkdtemp(dir));
  char *ca = joined(dir, "/ca.pem");
  char *both = joined(dir, "/both.pem");
  char *text = joined(leaf->certificate, leaf->key);
  write_file(ca, root->certificate);
  write_file(both, text);

  /* The key is looked for beside the certificate. */
  const ws_tls_identity identity = {.certificate.file = both};
  const ws_tls_client_options client = {.ca.file = ca};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);

  assert_no_client(&(ws_tls_client_options){.ca_dir = dir}, WS_ERR_TLS,
                   "no CA certificates under hashed names");
  char *command = joined("openssl rehash ", dir);
  const int is_rehashed = system(command) == 0;
  if (is_rehashed) {
    tls_pair_init(&pair, &ws__malloc, &(ws_tls_client_options){.ca_dir = dir},
                  &server);
    tls_pair_open(&pair, HOST);
    tls_pair_free(&pair);
  }
  free(command);
  command = joined("rm -r ", dir);
  assert_int_equal(system(command), 0);
  free(command);
  free(ca);
  free(both);
  free(text);
}

static void what_is_wrong_with_a_store_is_said(void **state) {
  (void)state;
  assert_no_client(&(ws_tls_client_options){.ca.file = "/nonexistent"},
                   WS_ERR_TLS, "/nonexistent: No such file or directory");
  assert_no_client(&(ws_tls_client_options){.ca.text = "nothing"}, WS_ERR_TLS,
                   "PEM text: no certificate in it");
  assert_no_client(&(ws_tls_client_options){.ca.text = root->key}, WS_ERR_TLS,
                   "PEM text: no certificate in it");
  char *cut = joined(root->certificate, "");
  cut[strlen(cut) / 2] = '\0';
  assert_no_client(&(ws_tls_client_options){.ca.text = cut}, WS_ERR_TLS,
                   "PEM text: ");
  free(cut);
}

/* -- Keys ------------------------------------------------------------------ */

static void what_is_wrong_with_an_identity_is_said(void **state) {
  (void)state;
  char *secret = cert_encrypted_key(leaf, "open sesame");
  cert *weak = cert_new(
      &(cert_spec){.common_name = "weak", .issuer = root, .rsa_bits = 1024});
  char *broken = joined(leaf->certificate, "-----BEGIN CERTIFICATE-----\nx");
  char long_phrase[2000];
  memset(long_phrase, 'x', sizeof(long_phrase));
  long_phrase[sizeof(long_phrase) - 1] = '\0';
  const struct {
    ws_tls_identity identity;
    int error;
    const char *detail;
  } rows[] = {
      {{.certificate.file = "/nonexistent"},
       WS_ERR_TLS,
       "/nonexistent: No such file or directory"},
      {{.certificate.text = leaf->certificate, .key.file = "/nonexistent"},
       WS_ERR_TLS,
       "/nonexistent: No such file or directory"},
      {{.key.text = leaf->key},
       WS_ERR_INVALID_ARGUMENT,
       "a key without a certificate"},
      {{.certificate.text = leaf->certificate}, WS_ERR_TLS, "PEM text: "},
      {{.certificate.text = leaf->key}, WS_ERR_TLS, "PEM text: no start line"},
      {{.certificate.text = broken, .key.text = leaf->key},
       WS_ERR_TLS,
       "PEM text: "},
      {{.certificate.text = leaf->certificate, .key.text = root->key},
       WS_ERR_TLS,
       "PEM text: private key mismatch"},
      {{.certificate.text = leaf->certificate, .key.text = secret},
       WS_ERR_TLS,
       "PEM text: the key needs a passphrase"},
      {{.certificate.text = leaf->certificate,
        .key.text = secret,
        .passphrase = "wrong"},
       WS_ERR_TLS,
       "PEM text: "},
      {{.certificate.text = leaf->certificate,
        .key.text = secret,
        .passphrase = long_phrase},
       WS_ERR_TLS,
       "PEM text: "},
      {{.certificate.text = weak->certificate, .key.text = weak->key},
       WS_ERR_TLS,
       "PEM text: ee key too small"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_no_client(&(ws_tls_client_options){.ca.text = root->certificate,
                                              .identity = rows[i].identity},
                     rows[i].error, rows[i].detail);
    const ws_tls_server_options server = {.identities = &rows[i].identity,
                                          .identity_count = 1};
    ws_tls_context *context;
    char text[WS__DETAIL_SIZE] = "";
    assert_int_equal(
        ws__tls_server_context(&ws__malloc, &server, &context, text),
        rows[i].error);
    assert_non_null(strstr(text, rows[i].detail));
  }
  free(broken);
  free(secret);
  cert_free(weak);
}

static void a_key_may_be_under_a_passphrase(void **state) {
  (void)state;
  char *secret = cert_encrypted_key(leaf, "open sesame");
  const ws_tls_identity identity = {.certificate.text = leaf->certificate,
                                    .key.text = secret,
                                    .passphrase = "open sesame"};
  const ws_tls_client_options client = {.ca.text = root->certificate};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_open(&pair, HOST);
  tls_pair_free(&pair);
  free(secret);
}

static void a_server_needs_a_certificate(void **state) {
  (void)state;
  ws_tls_context *context;
  char text[WS__DETAIL_SIZE] = "";
  assert_int_equal(ws__tls_server_context(&ws__malloc,
                                          &(ws_tls_server_options){0}, &context,
                                          text),
                   WS_ERR_INVALID_ARGUMENT);
  assert_string_equal(text, "a server needs a certificate");
}

/* -- Versions and ciphers -------------------------------------------------- */

static void each_version_can_be_asked_for(void **state) {
  (void)state;
  static const char *const names[] = {"", "TLSv1.2", "TLSv1.3"};
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    const ws_tls_identity identity = tls_identity(leaf);
    const ws_tls_client_options client = {
        .ca.text = root->certificate,
        .policy = {.min_version = v, .max_version = v}};
    const ws_tls_server_options server = {.identities = &identity,
                                          .identity_count = 1};
    tls_pair pair;
    tls_pair_init(&pair, &ws__malloc, &client, &server);
    tls_pair_open(&pair, HOST);
    ws_tls_info info;
    ws__tls_get_info(pair.client, &info);
    assert_string_equal(info.version, names[v]);
    tls_pair_free(&pair);
  }
}

static void sides_without_a_common_version_say_so(void **state) {
  (void)state;
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {
      .ca.text = root->certificate, .policy.max_version = WS_TLS_VERSION_1_2};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1,
                                        .policy.min_version =
                                            WS_TLS_VERSION_1_3};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_TLS,
                       "alert from the peer: protocol version");
  assert_server_failed(&pair, WS_ERR_TLS,
                       "the peer offers no TLS version allowed here "
                       "(unsupported protocol)");
  tls_pair_free(&pair);
}

static void sides_without_a_common_cipher_say_so(void **state) {
  (void)state;
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {
      .ca.text = root->certificate,
      .policy = {.max_version = WS_TLS_VERSION_1_2,
                 .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}};
  const ws_tls_server_options server = {
      .identities = &identity,
      .identity_count = 1,
      .policy = {.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"}};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_client_failed(&pair, WS_ERR_TLS,
                       "alert from the peer: handshake failure");
  assert_server_failed(&pair, WS_ERR_TLS,
                       "no cipher that both sides allow (no shared cipher)");
  tls_pair_free(&pair);
}

static void a_policy_that_cannot_be_is_refused(void **state) {
  (void)state;
  assert_no_client(&(ws_tls_client_options){.policy.ciphers = "NONSENSE"},
                   WS_ERR_TLS, "NONSENSE: no cipher match");
  assert_no_client(&(ws_tls_client_options){.policy.cipher_suites = "NONSENSE"},
                   WS_ERR_TLS, "NONSENSE: ");
  assert_no_client(
      &(ws_tls_client_options){.policy = {.min_version = WS_TLS_VERSION_1_3,
                                          .max_version = WS_TLS_VERSION_1_2}},
      WS_ERR_INVALID_ARGUMENT, "min_version is above max_version");
}

/* -- Client certificates --------------------------------------------------- */

static cert *client_certificate(const cert *issuer) {
  return cert_new(&(cert_spec){
      .common_name = "client, one", .issuer = issuer, .is_client = true});
}

static void set_up_mutual(tls_pair *pair, ws_tls_client_auth auth,
                          ws_tls_version version, const cert *c) {
  const ws_tls_identity identity = tls_identity(leaf);
  ws_tls_client_options client = {.ca.text = root->certificate,
                                  .policy.max_version = version};
  if (c != NULL) client.identity = tls_identity(c);
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1,
                                        .client_auth = auth,
                                        .client_ca.text = root->certificate};
  tls_pair_init(pair, &ws__malloc, &client, &server);
}

static void a_client_certificate_is_verified_and_shown(void **state) {
  (void)state;
  cert *c = client_certificate(root);
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    tls_pair pair;
    set_up_mutual(&pair, WS_TLS_CLIENT_AUTH_REQUIRED, v, c);
    tls_pair_open(&pair, HOST);
    ws_tls_info info;
    ws__tls_get_info(pair.server, &info);
    assert_string_equal(info.peer_subject, "CN=client\\, one");

    /* A resumed session keeps its client. */
    assert_carried(pair.server, pair.client, "tickets");
    tls_pair_open(&pair, HOST);
    ws__tls_get_info(pair.server, &info);
    assert_true(info.is_resumed);
    assert_string_equal(info.peer_subject, "CN=client\\, one");
    tls_pair_free(&pair);
  }
  cert_free(c);
}

static void a_server_may_require_a_client_certificate(void **state) {
  (void)state;
  tls_pair pair;
  set_up_mutual(&pair, WS_TLS_CLIENT_AUTH_REQUIRED, WS_TLS_VERSION_1_2, NULL);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_server_failed(&pair, WS_ERR_CERTIFICATE,
                       "the client has no certificate (peer did not return a "
                       "certificate)");
  assert_client_failed(&pair, WS_ERR_TLS,
                       "alert from the peer: handshake failure");
  tls_pair_free(&pair);

  /* A client of TLS 1.3 is done before the server has judged; what comes then
   * is the alert. */
  set_up_mutual(&pair, WS_TLS_CLIENT_AUTH_REQUIRED, WS_TLS_VERSION_1_3, NULL);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_int_equal(pair.server_status, WS__TLS_FAILED);
  assert_int_equal(pair.client_status, WS__TLS_OK);
  uint8_t buf[1];
  size_t n;
  assert_int_equal(ws__tls_read(pair.client, buf, 1, &n), WS__TLS_FAILED);
  assert_int_equal(ws__tls_error(pair.client), WS_ERR_TLS);
  assert_string_equal(ws__tls_detail(pair.client),
                      "alert from the peer: certificate required");
  tls_pair_free(&pair);
}

static void
an_optional_client_certificate_may_be_missing_not_bad(void **state) {
  (void)state;
  tls_pair pair;
  set_up_mutual(&pair, WS_TLS_CLIENT_AUTH_OPTIONAL, WS_TLS_VERSION_DEFAULT,
                NULL);
  tls_pair_open(&pair, HOST);
  ws_tls_info info;
  ws__tls_get_info(pair.server, &info);
  assert_string_equal(info.peer_subject, "");
  tls_pair_free(&pair);

  cert *stranger = client_certificate(other_root);
  set_up_mutual(&pair, WS_TLS_CLIENT_AUTH_OPTIONAL, WS_TLS_VERSION_DEFAULT,
                stranger);
  tls_pair_connect(&pair, HOST);
  tls_pair_shake(&pair);
  assert_server_failed(&pair, WS_ERR_CERTIFICATE,
                       "unable to get local issuer certificate");
  tls_pair_free(&pair);
  cert_free(stranger);
}

static void verifying_clients_needs_someone_to_trust(void **state) {
  (void)state;
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1,
                                        .client_auth =
                                            WS_TLS_CLIENT_AUTH_OPTIONAL};
  ws_tls_context *context;
  char text[WS__DETAIL_SIZE];
  assert_int_equal(ws__tls_server_context(&ws__malloc, &server, &context, text),
                   WS_ERR_INVALID_ARGUMENT);
  assert_string_equal(text, "client_auth needs a client_ca");
}

/* -- Several certificates on one server ------------------------------------ */

static cert *named(const char *common_name, const char *alt_names,
                   int rsa_bits) {
  return cert_new(&(cert_spec){.common_name = common_name,
                               .alt_names = alt_names,
                               .issuer = root,
                               .rsa_bits = rsa_bits});
}

/* Which certificate a client that asks for `host` gets. */
static void assert_shown(tls_pair *pair, const char *host,
                         const char *subject) {
  tls_pair_open(pair, host);
  ws_tls_info info;
  ws__tls_get_info(pair->client, &info);
  assert_string_equal(info.peer_subject, subject);
}

static void the_name_a_client_sends_chooses_the_certificate(void **state) {
  (void)state;
  enum {
    COUNT = 5
  };
  cert *all[COUNT] = {
      named("default", "DNS:default.test,IP:127.0.0.1", 0),
      named("wild", "DNS:*.a.test", 0),
      named("exact", "DNS:x.a.test,DNS:b.test", 0),
      named("again", "DNS:b.test", 0),
      named("rsa", "DNS:b.test", 2048),
  };
  ws_tls_identity identities[COUNT];
  for (int i = 0; i < COUNT; i++)
    identities[i] = tls_identity(all[i]);
  /* Each answer must be for the name; only these two are for none. */
  const ws_tls_client_options client = {.ca.text = root->certificate};
  const ws_tls_client_options no_verify = {.insecure_no_verify = true};
  const ws_tls_client_options rsa = {
      .ca.text = root->certificate,
      .policy = {.max_version = WS_TLS_VERSION_1_2, .ciphers = "aRSA+AESGCM"}};
  const ws_tls_server_options server = {.identities = identities,
                                        .identity_count = COUNT};
  tls_pair pair;
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  assert_shown(&pair, "default.test", "CN=default");
  assert_shown(&pair, "y.a.test", "CN=wild");
  assert_shown(&pair, "x.a.test", "CN=exact");
  assert_shown(&pair, "b.test", "CN=exact");
  assert_shown(&pair, "127.0.0.1", "CN=default");
  ws_tls_info info;
  ws__tls_get_info(pair.server, &info);
  assert_string_equal(info.server_name, "");
  tls_pair_free(&pair);

  tls_pair_init(&pair, &ws__malloc, &no_verify, &server);
  assert_shown(&pair, "unknown.test", "CN=default");
  ws__tls_get_info(pair.server, &info);
  assert_string_equal(info.server_name, "unknown.test");
  tls_pair_free(&pair);

  tls_pair_init(&pair, &ws__malloc, &rsa, &server);
  assert_shown(&pair, "b.test", "CN=rsa");
  tls_pair_free(&pair);
  for (int i = 0; i < COUNT; i++)
    cert_free(all[i]);
}

static void new_connections_get_reloaded_certificates(void **state) {
  (void)state;
  cert *next = named("next", "DNS:" HOST, 0);
  tls_pair pair;
  set_up(&pair, root->certificate, leaf);
  assert_shown(&pair, HOST, "CN=leaf");
  /* No ticket was read, so the next handshake is a full one. */
  const ws_tls_identity fresh = tls_identity(next);
  assert_int_equal(ws__tls_reload(pair.server_context, &fresh, 1, NULL), 0);
  assert_carried(pair.client, pair.server, "goes on");
  assert_shown(&pair, HOST, "CN=next");

  const ws_tls_identity bad = {.certificate.file = "/nonexistent"};
  char text[WS__DETAIL_SIZE];
  assert_int_equal(ws__tls_reload(pair.server_context, &bad, 1, text),
                   WS_ERR_TLS);
  assert_string_equal(text, "/nonexistent: No such file or directory");
  assert_shown(&pair, HOST, "CN=next");
  tls_pair_free(&pair);
  cert_free(next);
}

static void tickets_survive_a_reload(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair, root->certificate, leaf);
  tls_pair_open(&pair, HOST);
  assert_carried(pair.server, pair.client, "tickets");
  const ws_tls_identity fresh = tls_identity(leaf);
  assert_int_equal(ws__tls_reload(pair.server_context, &fresh, 1, NULL), 0);
  tls_pair_open(&pair, HOST);
  ws_tls_info info;
  ws__tls_get_info(pair.client, &info);
  assert_true(info.is_resumed);
  tls_pair_free(&pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_reason_of_a_refusal_is_named),
      cmocka_unit_test(long_lists_of_hosts_are_cut),
      cmocka_unit_test(an_expired_issuer_is_told_from_an_expired_leaf),
      cmocka_unit_test(a_chain_is_as_long_as_allowed_and_no_longer),
      cmocka_unit_test(a_name_outside_of_the_issuers_constraints_is_refused),
      cmocka_unit_test(a_revoked_certificate_is_refused),
      cmocka_unit_test(a_weak_key_in_the_chain_is_refused),
      cmocka_unit_test(the_host_may_be_written_in_any_way),
      cmocka_unit_test(a_self_signed_certificate_may_be_trusted_by_itself),
      cmocka_unit_test(only_the_option_called_insecure_takes_anything),
      cmocka_unit_test(a_host_must_have_1_to_255_characters),
      cmocka_unit_test(a_system_without_a_store_is_told_so),
      cmocka_unit_test(certificates_may_lie_in_files_and_folders),
      cmocka_unit_test(what_is_wrong_with_a_store_is_said),
      cmocka_unit_test(what_is_wrong_with_an_identity_is_said),
      cmocka_unit_test(a_key_may_be_under_a_passphrase),
      cmocka_unit_test(a_server_needs_a_certificate),
      cmocka_unit_test(each_version_can_be_asked_for),
      cmocka_unit_test(sides_without_a_common_version_say_so),
      cmocka_unit_test(sides_without_a_common_cipher_say_so),
      cmocka_unit_test(a_policy_that_cannot_be_is_refused),
      cmocka_unit_test(a_client_certificate_is_verified_and_shown),
      cmocka_unit_test(a_server_may_require_a_client_certificate),
      cmocka_unit_test(an_optional_client_certificate_may_be_missing_not_bad),
      cmocka_unit_test(verifying_clients_needs_someone_to_trust),
      cmocka_unit_test(the_name_a_client_sends_chooses_the_certificate),
      cmocka_unit_test(new_connections_get_reloaded_certificates),
      cmocka_unit_test(tickets_survive_a_reload),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}

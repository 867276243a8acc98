/* tls_openssl_pem.c - certificates, keys and revocation lists, from files and
 * from memory, and where the system keeps whom to trust. */
#include "io/tls_openssl.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

bool ws__pem_is_given(const ws_tls_pem *pem) {
  return pem->file != NULL || pem->text != NULL;
}

const char *ws__pem_name(const ws_tls_pem *pem) {
  return pem->file != NULL ? pem->file : "PEM text";
}

/* Returns NULL and leaves a reason in the queue on failure. */
static BIO *open_pem(const ws_tls_pem *pem) {
  ERR_clear_error();
  return pem->file != NULL ? BIO_new_file(pem->file, "re")
                           : BIO_new_mem_buf(pem->text, -1);
}

/* What OpenSSL asks for a passphrase; without it, it would ask the terminal. */
typedef struct passphrase {
  const char *text;
  bool was_missed;
} passphrase;

static int give_passphrase(char *buf, int size, int is_writing, void *arg) {
  (void)is_writing;
  passphrase *p = arg;
  if (p->text == NULL) {
    p->was_missed = true;
    return -1;
  }
  const size_t len = strlen(p->text);
  if (len > (size_t)size) return -1;
  memcpy(buf, p->text, len);
  return (int)len;
}

void ws__credential_free(ws__credential *cred) {
  X509_free(cred->certificate);
  sk_X509_pop_free(cred->chain, X509_free);
  EVP_PKEY_free(cred->key);
  *cred = (ws__credential){0};
}

/* Reads a leaf and what follows it. */
static int load_certificates(const ws_tls_pem *pem, ws__credential *cred,
                             char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return ws__openssl_give_up(detail, ws__pem_name(pem));
  passphrase none = {NULL, false};
  cred->certificate = PEM_read_bio_X509_AUX(bio, NULL, give_passphrase, &none);
  cred->chain = sk_X509_new_null();
  int err = 0;
  if (cred->certificate == NULL) {
    err = ws__openssl_give_up(detail, ws__pem_name(pem));
  } else if (cred->chain == NULL) {
    err = ws__openssl_no_memory(detail);
  }
  X509 *next;
  while (err == 0 &&
         (next = PEM_read_bio_X509(bio, NULL, give_passphrase, &none))) {
    if (sk_X509_push(cred->chain, next) > 0) continue;
    X509_free(next);
    err = ws__openssl_no_memory(detail);
  }
  /* The normal end is that no other certificate begins. */
  const unsigned long last = ERR_peek_last_error();
  const bool is_end = ERR_GET_LIB(last) == ERR_LIB_PEM &&
                      ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (err == 0 && !is_end) err = ws__openssl_give_up(detail, ws__pem_name(pem));
  BIO_free(bio);
  ERR_clear_error();
  return err;
}

static int load_key(const ws_tls_pem *pem, const char *text,
                    ws__credential *cred, char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return ws__openssl_give_up(detail, ws__pem_name(pem));
  passphrase p = {text, false};
  cred->key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &p);
  BIO_free(bio);
  if (cred->key != NULL) return 0;
  const int err = ws__openssl_give_up(detail, ws__pem_name(pem));
  if (p.was_missed) {
    ws__detail_set(detail, "%s: the key needs a passphrase", ws__pem_name(pem));
  }
  return err;
}

int ws__openssl_load_identity(const ws_tls_identity *identity,
                              ws__credential *cred, char *detail) {
  *cred = (ws__credential){0};
  const ws_tls_pem *key = ws__pem_is_given(&identity->key)
                              ? &identity->key
                              : &identity->certificate;
  if (!ws__pem_is_given(&identity->certificate)) {
    ws__detail_set(detail, "a key without a certificate");
    return WS_ERR_INVALID_ARGUMENT;
  }
  int err = load_certificates(&identity->certificate, cred, detail);
  if (err == 0) err = load_key(key, identity->passphrase, cred, detail);
  if (err != 0) ws__credential_free(cred);
  return err;
}

int ws__openssl_load_trusted(SSL_CTX *ssl_ctx, const ws_tls_pem *pem,
                             bool is_announced, char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return ws__openssl_give_up(detail, ws__pem_name(pem));
  passphrase none = {NULL, false};
  STACK_OF(X509_INFO) *all =
      PEM_X509_INFO_read_bio(bio, NULL, give_passphrase, &none);
  BIO_free(bio);
  if (all == NULL) return ws__openssl_give_up(detail, ws__pem_name(pem));

  X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
  int certificates = 0;
  bool is_ok = true;
  for (int i = 0; is_ok && i < sk_X509_INFO_num(all); i++) {
    const X509_INFO *item = sk_X509_INFO_value(all, i);
    if (item->x509 != NULL) {
      certificates++;
      is_ok = X509_STORE_add_cert(store, item->x509) &&
              (!is_announced || SSL_CTX_add_client_CA(ssl_ctx, item->x509));
    }
    if (is_ok && item->crl != NULL) {
      is_ok = X509_STORE_add_crl(store, item->crl) &&
              X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
  }
  sk_X509_INFO_pop_free(all, X509_INFO_free);
  if (!is_ok) return ws__openssl_give_up(detail, ws__pem_name(pem));
  ERR_clear_error();
  if (certificates > 0) return 0;
  ws__detail_set(detail, "%s: no certificate in it", ws__pem_name(pem));
  return WS_ERR_TLS;
}

/* -- Folders and the system's store ---------------------------------------- */

static bool is_hash_name(const char *name) {
  const size_t hash_len = 8;
  return strspn(name, "0123456789abcdef") == hash_len && name[hash_len] == '.';
}

/* Whether OpenSSL can find a certificate in a folder. */
static bool has_hashed_certificates(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) return false;
  const struct dirent *entry;
  bool is_found = false;
  while (!is_found && (entry = readdir(dir)) != NULL)
    is_found = is_hash_name(entry->d_name);
  closedir(dir);
  return is_found;
}

int ws__openssl_load_dir(SSL_CTX *ssl_ctx, const char *dir, char *detail) {
  if (!has_hashed_certificates(dir)) {
    ws__detail_set(detail, "%s: no CA certificates under hashed names", dir);
    return WS_ERR_TLS;
  }
  ERR_clear_error();
  if (!SSL_CTX_load_verify_dir(ssl_ctx, dir)) {
    return ws__openssl_give_up(detail, dir);
  }
  return 0;
}

static const char *default_dir(void) {
  const char *dirs = getenv(X509_get_default_cert_dir_env());
  return dirs != NULL ? dirs : X509_get_default_cert_dir();
}

/* The folders stand with colons between. */
static bool has_any_hashed_certificates(const char *dirs) {
  char dir[4096];
  while (*dirs != '\0') {
    const size_t len = strcspn(dirs, ":");
    if (len < sizeof(dir)) {
      memcpy(dir, dirs, len);
      dir[len] = '\0';
      if (has_hashed_certificates(dir)) return true;
    }
    dirs += len + (dirs[len] == ':');
  }
  return false;
}

/* Without a store every certificate would be refused for want of its issuer,
 * which says nothing of the cause. */
int ws__openssl_load_system(SSL_CTX *ssl_ctx, char *detail) {
  if (!SSL_CTX_set_default_verify_paths(ssl_ctx)) {
    return ws__openssl_no_memory(detail);
  }
  ERR_clear_error();
  X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
  if (sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0) return 0;
  if (has_any_hashed_certificates(default_dir())) return 0;
  ws__detail_set(detail,
                 "no CA certificates on this system: nothing in %s; install "
                 "them (ca-certificates) or name a file",
                 default_dir());
  return WS_ERR_TLS;
}

// A certificate authority of its own for each test, made with OpenSSL at run time, in a folder that goes
// away.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace keyturn::net {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keyturn-net-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

enum class KeyKind { elliptic, rsa };

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name) : key_(new_key()), certificate_(self_signed(name)) {}

  void write_authority(const std::string& path) const { write_certificate(path, certificate_.get()); }

  // A server's certificate and key. `names` as OpenSSL writes them: "IP:127.0.0.1,DNS:localhost".
  void issue(const std::string& names, const std::string& certificate_path, const std::string& key_path,
             KeyKind kind = KeyKind::elliptic) const {
    const auto key = new_key(kind);
    const auto certificate = make_leaf(names, key.get());
    write_certificate(certificate_path, certificate.get());
    const auto file = open(key_path);
    PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  }

 private:
  template <auto function>
  struct Free {
    template <typename T>
    void operator()(T* object) const {
      function(object);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Free<X509_free>>;
  using File = std::unique_ptr<std::FILE, Free<std::fclose>>;

  static Key new_key(KeyKind kind = KeyKind::elliptic) {
    return Key(kind == KeyKind::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  }

  static File open(const std::string& path) {
    File file(std::fopen(path.c_str(), "w"));
    if (!file) throw std::runtime_error("can't write " + path);
    return file;
  }

  static void write_certificate(const std::string& path, X509* certificate) {
    const auto file = open(path);
    PEM_write_X509(file.get(), certificate);
  }

  static void add_extension(X509* certificate, int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    if (extension == nullptr) throw std::runtime_error("OpenSSL refused the extension " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static Certificate blank(const std::string& name, EVP_PKEY* key) {
    static long serial = 1;
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    return certificate;
  }

  Certificate self_signed(const std::string& name) const {
    auto certificate = blank(name, key_.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    return certificate;
  }

  Certificate make_leaf(const std::string& names, EVP_PKEY* key) const {
    auto certificate = blank("a server", key);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    add_extension(certificate.get(), NID_subject_alt_name, names);
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    return certificate;
  }

  Key key_;
  Certificate certificate_;
};

// The files of one TLS server: authority.pem, certificate.pem, key.pem.
struct TlsFiles {
  TemporaryFolder folder;
  CertificateAuthority authority;
  std::string authority_file = folder.file("authority.pem");
  std::string certificate_file = folder.file("certificate.pem");
  std::string key_file = folder.file("key.pem");

  explicit TlsFiles(const std::string& names = "IP:127.0.0.1,DNS:localhost", KeyKind kind = KeyKind::elliptic)
      : authority("a test's authority") {
    authority.write_authority(authority_file);
    authority.issue(names, certificate_file, key_file, kind);
  }
};

}  // namespace keyturn::net

#include "integrations/net/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>

namespace keyturn::net {
namespace {

template <auto function>
struct FreedBy {
  template <typename T>
  void operator()(T* object) const {
    function(object);
  }
};
using PemFile = std::unique_ptr<std::FILE, FreedBy<std::fclose>>;
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;

std::unexpected<std::string> unreadable(const std::string& file) {
  return std::unexpected(fmt::format("{} can't be read: {}", file, std::strerror(errno)));
}

// Never asks at the terminal: the bot couldn't either.
int no_passphrase(char*, int, int, void*) { return 0; }

std::optional<storage::TimePoint> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return std::chrono::time_point_cast<storage::Duration>(
      std::chrono::system_clock::from_time_t(timegm(&parts)));
}

bool covers_host(X509* certificate, const std::string& host) {
  boost::system::error_code no_address;
  boost::asio::ip::make_address(host, no_address);
  if (!no_address) return X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
  return X509_check_host(certificate, host.c_str(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                         nullptr) == 1;
}

}  // namespace

std::expected<CertificateFacts, std::string> inspect_certificate(const std::string& certificate_file,
                                                                 const std::string& private_key_file,
                                                                 const std::string& host) {
  const PemFile certificates(std::fopen(certificate_file.c_str(), "re"));
  if (!certificates) return unreadable(certificate_file);
  const Certificate certificate(PEM_read_X509(certificates.get(), nullptr, &no_passphrase, nullptr));
  const PemFile keys(std::fopen(private_key_file.c_str(), "re"));
  if (!keys) return unreadable(private_key_file);
  const PrivateKey key(PEM_read_PrivateKey(keys.get(), nullptr, &no_passphrase, nullptr));
  ERR_clear_error();
  if (!certificate) return std::unexpected(fmt::format("there is no certificate in {}", certificate_file));
  if (!key) {
    return std::unexpected(
        fmt::format("there is no private key in {} that opens without a passphrase", private_key_file));
  }
  const auto begins = time_of(X509_get0_notBefore(certificate.get()));
  const auto ends = time_of(X509_get0_notAfter(certificate.get()));
  if (!begins || !ends)
    return std::unexpected(fmt::format("the certificate in {} has no readable dates", certificate_file));
  CertificateFacts facts{.begins = *begins,
                         .ends = *ends,
                         .key_fits = X509_check_private_key(certificate.get(), key.get()) == 1,
                         .names_the_host = covers_host(certificate.get(), host)};
  ERR_clear_error();
  return facts;
}

}  // namespace keyturn::net

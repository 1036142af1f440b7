// What TLS means here: 1.2 or newer, forward-secret authenticated ciphers, certificate and host name always
// checked on the client side, sessions resumed per origin, and a server certificate that is replaced without
// a restart. Internal to integrations/net. Thread: io only.
#pragma once

#include <sys/stat.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "integrations/net/stream.h"
#include "integrations/net/url.h"

namespace keyturn::net {

class TlsClient {
 public:
  // One per file of certificate authorities (empty: the system's only), shared while anybody holds it:
  // reading the authorities is dear. Throws NetError (sent = false) when the file can't be read.
  static std::shared_ptr<TlsClient> shared(const std::string& certificate_authorities);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // A stream that will check that the other side is `url`'s host; handshake() comes next.
  Stream wrap(Stream::Socket socket, const Url& url);

 private:
  explicit TlsClient(const std::string& certificate_authorities);
  class Sessions;
  boost::asio::ssl::context context_;
  std::unique_ptr<Sessions> sessions_;
};

// Why the last handshake on `stream` failed, in OpenSSL's words; empty when it was not the certificate.
std::string certificate_fault(Stream& stream);

class TlsServer {
 public:
  // Throws std::runtime_error naming the file that can't be used.
  TlsServer(std::string certificate_file, std::string private_key_file);

  // The context for a new connection, made anew when one of the files has changed. Files that don't fit
  // together (one is replaced before the other) leave the old context in use.
  std::shared_ptr<boost::asio::ssl::context> current();

 private:
  struct Version {
    struct timespec modified{};
    ino_t file = 0;
    off_t size = 0;
    bool operator==(const Version& other) const;
  };
  static Version version_of(const std::string& path);
  std::shared_ptr<boost::asio::ssl::context> load() const;

  std::string certificate_file_;
  std::string private_key_file_;
  Version certificate_version_;
  Version key_version_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace keyturn::net

#include "integrations/net/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <spdlog/fmt/fmt.h>

#include <map>
#include <mutex>
#include <stdexcept>

#include "integrations/net/http_client.h"

namespace keyturn::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// TLS 1.2's; those of 1.3 are all fine.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

void harden(asio::ssl::context& context) {
  SSL_CTX* handle = context.native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(handle, kCiphers);
  SSL_CTX_set_options(handle, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
}

bool is_address(const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  return !error;
}

}  // namespace

// The last session per origin, so that the next handshake is short. The cache is ours because OpenSSL's own
// is for servers.
class TlsClient::Sessions {
 public:
  explicit Sessions(SSL_CTX* context) {
    SSL_CTX_set_ex_data(context, context_index(), this);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, &Sessions::on_new_session);
  }
  ~Sessions() {
    for (auto& [origin, session] : sessions_) SSL_SESSION_free(session);
  }
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  void prepare(SSL* connection, const std::string& origin) {
    SSL_set_ex_data(connection, origin_index(), new std::string(origin));
    const auto known = sessions_.find(origin);
    if (known == sessions_.end() || known->second == nullptr) return;
    SSL_set_session(connection, known->second);
    // RFC 8446, C.4: a ticket of TLS 1.3 should be used once.
    if (SSL_SESSION_get_protocol_version(known->second) >= TLS1_3_VERSION) {
      SSL_SESSION_free(known->second);
      sessions_.erase(known);
    }
  }

 private:
  static int context_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }
  static int origin_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &Sessions::free_origin);
    return index;
  }
  static void free_origin(void*, void* origin, CRYPTO_EX_DATA*, int, long, void*) {
    delete static_cast<std::string*>(origin);
  }

  // 1: we keep the session. A connection may outlive this, so the destructor of TlsClient takes the callback
  // away.
  static int on_new_session(SSL* connection, SSL_SESSION* session) {
    auto* self = static_cast<Sessions*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), context_index()));
    const auto* origin = static_cast<const std::string*>(SSL_get_ex_data(connection, origin_index()));
    if (self == nullptr || origin == nullptr) return 0;
    auto& slot = self->sessions_[*origin];
    if (slot != nullptr) SSL_SESSION_free(slot);
    slot = SSL_SESSION_dup(session);
    return 0;
  }

  std::map<std::string, SSL_SESSION*> sessions_;
};

TlsClient::TlsClient(const std::string& certificate_authorities) : context_(asio::ssl::context::tls_client) {
  harden(context_);
  context_.set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  context_.set_default_verify_paths(error);
  if (!certificate_authorities.empty()) {
    error = {};
    context_.load_verify_file(certificate_authorities, error);
  }
  if (error) {
    throw NetError(fmt::format("certificate authorities can't be read from {}: {}", certificate_authorities,
                               error.message()),
                   /*request_was_sent=*/false);
  }
  sessions_ = std::make_unique<Sessions>(context_.native_handle());
}

TlsClient::~TlsClient() { SSL_CTX_sess_set_new_cb(context_.native_handle(), nullptr); }

std::shared_ptr<TlsClient> TlsClient::shared(const std::string& certificate_authorities) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<TlsClient>> known;
  const std::lock_guard lock(mutex);
  auto& entry = known[certificate_authorities];
  if (auto client = entry.lock()) return client;
  std::shared_ptr<TlsClient> client(new TlsClient(certificate_authorities));
  entry = client;
  return client;
}

Stream TlsClient::wrap(Stream::Socket socket, const Url& url) {
  Stream stream(std::move(socket), context_);
  SSL* connection = stream.tls();
  if (is_address(url.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), url.host.c_str());
  } else {
    SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(connection, url.host.c_str());
    SSL_set_tlsext_host_name(connection, url.host.c_str());
  }
  sessions_->prepare(connection, url.origin());
  return stream;
}

std::string certificate_fault(Stream& stream) {
  if (stream.tls() == nullptr) return "";
  const long result = SSL_get_verify_result(stream.tls());
  return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

bool TlsServer::Version::operator==(const Version& other) const {
  return modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec &&
         file == other.file && size == other.size;
}

TlsServer::TlsServer(std::string certificate_file, std::string private_key_file)
    : certificate_file_(std::move(certificate_file)),
      private_key_file_(std::move(private_key_file)),
      certificate_version_(version_of(certificate_file_)),
      key_version_(version_of(private_key_file_)),
      context_(load()) {}

TlsServer::Version TlsServer::version_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {.modified = status.st_mtim, .file = status.st_ino, .size = status.st_size};
}

std::shared_ptr<asio::ssl::context> TlsServer::load() const {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  harden(*context);
  error_code error;
  context->use_certificate_chain_file(certificate_file_, error);
  if (error)
    throw std::runtime_error(fmt::format("no certificate in {}: {}", certificate_file_, error.message()));
  context->use_private_key_file(private_key_file_, asio::ssl::context::pem, error);
  if (error) {
    throw std::runtime_error(fmt::format("no private key for {} in {}: {}", certificate_file_,
                                         private_key_file_, error.message()));
  }
  return context;
}

std::shared_ptr<asio::ssl::context> TlsServer::current() {
  const auto certificate = version_of(certificate_file_);
  const auto key = version_of(private_key_file_);
  if (certificate == certificate_version_ && key == key_version_) return context_;
  try {
    context_ = load();
    certificate_version_ = certificate;
    key_version_ = key;
  } catch (const std::runtime_error&) {
    // The old one serves on; the next connection looks again.
  }
  return context_;
}

}  // namespace keyturn::net

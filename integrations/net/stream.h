// A byte stream that is plain TCP or TLS, behind one type. Its read and write take an erased handler, so that
// whatever is built on it (Beast's WebSocket, above all) compiles once, not once per transport: 10 s instead
// of 32. Internal to integrations/net. Thread: io only. It must outlive its operations.
#pragma once

#include <array>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "storage/clock.h"

namespace keyturn::net {

// The first few buffers of any buffer sequence, as one type. A read or write of "some" bytes may leave the
// rest.
template <typename Buffer>
class BufferList {
 public:
  template <typename Sequence>
  explicit BufferList(const Sequence& sequence) {
    const auto end = boost::asio::buffer_sequence_end(sequence);
    for (auto buffer = boost::asio::buffer_sequence_begin(sequence);
         buffer != end && count_ < buffers_.size(); ++buffer) {
      const Buffer piece(*buffer);
      if (piece.size() != 0) buffers_[count_++] = piece;
    }
  }
  using value_type = Buffer;
  using const_iterator = const Buffer*;
  const Buffer* begin() const { return buffers_.data(); }
  const Buffer* end() const { return buffers_.data() + count_; }

 private:
  std::array<Buffer, 8> buffers_;
  std::size_t count_ = 0;
};

class Stream {
 public:
  using executor_type = boost::asio::any_io_executor;
  using Socket = boost::asio::ip::tcp::socket;
  using TlsStream = boost::asio::ssl::stream<Socket>;
  using Moved = boost::asio::any_completion_handler<void(boost::system::error_code, std::size_t)>;

  explicit Stream(Socket socket) : transport_(std::move(socket)) {}
  // handshake() comes first.
  Stream(Socket socket, boost::asio::ssl::context& context)
      : transport_(std::make_unique<TlsStream>(std::move(socket), context)) {}
  Stream(Stream&&) = default;
  Stream& operator=(Stream&&) = default;

  executor_type get_executor() { return socket().get_executor(); }
  Socket& socket();
  SSL* tls();  // null for plain TCP

  // Throws boost::system::system_error. Nothing to do for plain TCP.
  boost::asio::awaitable<void> handshake(boost::asio::ssl::stream_base::handshake_type side);

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const BufferList<boost::asio::mutable_buffer>& list) {
          start_read(list, Moved(std::move(handler)));
        },
        token, BufferList<boost::asio::mutable_buffer>(buffers));
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const BufferList<boost::asio::const_buffer>& list) {
          start_write(list, Moved(std::move(handler)));
        },
        token, BufferList<boost::asio::const_buffer>(buffers));
  }

  // Some bytes, or an error; the same for all of `bytes`.
  boost::asio::awaitable<std::size_t> read_some(boost::asio::mutable_buffer room,
                                                boost::system::error_code& error);
  boost::asio::awaitable<void> write_all(boost::asio::const_buffer bytes, boost::system::error_code& error);

  // These bytes come first at the next read (they were read too far).
  void unread(std::string_view bytes) { unread_ = bytes; }

  // Whether a connection that nobody reads from can still be used: nothing arrived on it, not even its end.
  bool quiet();

  // Ends pending operations with operation_aborted; the connection stays open.
  void cancel();
  // Closes at once. reset(): with a TCP reset instead of an orderly end.
  void close();
  void reset();
  // Says goodbye (TLS close_notify, TCP FIN), reads away what still comes for at most a second, so that the
  // other side gets to see our last bytes instead of a reset, and closes. Never throws, but for cancellation.
  boost::asio::awaitable<void> goodbye();

 private:
  void start_read(const BufferList<boost::asio::mutable_buffer>& buffers, Moved handler);
  void start_write(const BufferList<boost::asio::const_buffer>& buffers, Moved handler);

  std::variant<Socket, std::unique_ptr<TlsStream>> transport_;
  std::string unread_;
};

}  // namespace keyturn::net

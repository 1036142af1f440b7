// The one-time form's web side: pages, limits and headers in front of a FormDesk. Token in the URL's
// fragment; GET is inert, only POST spends the link.
//   GET  /form            the page (static; without a token, which never reaches the server by GET)
//   GET  /form/form.js, /form/style.css
//   POST /form/look       {"token"}                                      -> what the form is for, or why it
//   is closed POST /form/submit     {"token","key","grace_seconds","rotated_at"}   -> received, refused, or
//   closed
// Anything else is 404 or 405. Every response carries the security headers. protocol.h has the bodies.
// Thread: io only. Failure: a desk that throws is answered with 503, and nothing is said to be stored.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "bot/intake/rate_limit.h"
#include "commands/form_desk.h"
#include "integrations/net/http_server.h"

namespace keyturn::bot {

struct IntakeOptions {
  bool behind_proxy = false;  // the peer is the last one in X-Forwarded-For, which our own proxy appended
  int posts_a_minute = 30;    // of one peer
  const storage::Clock* clock = nullptr;  // null: the system's; must outlive the Intake
};

class Intake {
 public:
  using Observer = std::function<void(const std::string& event)>;
  // `desk` must outlive this. `hsts` when the TLS is ours. The observer hears: looked, received, refused,
  // closed, malformed, limited, cross_site, unavailable.
  Intake(commands::FormDesk& desk, bool hsts, Observer observer, IntakeOptions options = {});
  // This must outlive the handler.
  net::Handler handler();

 private:
  using Request = std::shared_ptr<const net::ServerRequest>;
  boost::asio::awaitable<void> serve(Request request, net::Exchange& exchange);
  boost::asio::awaitable<net::Response> answer(Request request);
  boost::asio::awaitable<net::Response> answer_post(Request request, std::string peer);
  boost::asio::awaitable<net::Response> look(Request request, std::string peer);
  boost::asio::awaitable<net::Response> submit(Request request, std::string peer);
  net::Response refuse(const char* event, int status, std::string_view state,
                       std::string_view sentence) const;
  storage::TimePoint now() const;

  commands::FormDesk& desk_;
  bool hsts_;
  Observer observer_;
  IntakeOptions options_;
  RateLimit limit_;
};

}  // namespace keyturn::bot

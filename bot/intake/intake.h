// The one-time form's web side: pages, limits and headers in front of a FormDesk. Token in the URL's
// fragment; GET is inert, only POST spends the link. No key comes here in the clear: the page has sealed it.
//   GET  /form            the page (static; without a token, which never reaches the server by GET)
//   GET  /form/*.js, /form/style.css
//   POST /form/look       {"token"}                      -> what the form is for, or why it is closed
//   POST /form/sign-in    {"token","code","state"}       -> a session, for who came back from Slack's sign-in
//   POST /form/submit     {"token","enc","ciphertext"}   -> received, refused, or closed
//   POST /form/progress   {"token"}                      -> how the rotation goes that took the key
// Anything else is 404 or 405. Every response carries the security headers. protocol.h has the bodies.
// Thread: io only. Failure: a desk that throws is answered with 503, and nothing is said to be stored.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "bot/intake/rate_limit.h"
#include "bot/intake/sign_in.h"
#include "commands/form_desk.h"
#include "integrations/net/http_server.h"

namespace keyturn::bot {

struct IntakeOptions {
  bool behind_proxy = false;    // the peer is the last one in X-Forwarded-For, which our own proxy appended
  int posts_a_minute = 30;      // of one peer, and for one link
  int progress_a_minute = 120;  // of one peer: a page asks every two seconds
  SignIn* sign_in = nullptr;    // null: nobody has to sign in; must outlive the Intake
  const storage::Clock* clock = nullptr;  // null: the system's; must outlive the Intake
};

class Intake {
 public:
  using Observer = std::function<void(const std::string& event)>;
  // `desk` must outlive this. `hsts` when the TLS is ours. The observer hears: looked, received, refused,
  // closed, sign_in, signed_in, malformed, limited, cross_site, unavailable.
  Intake(commands::FormDesk& desk, bool hsts, Observer observer, IntakeOptions options = {});
  // This must outlive the handler.
  net::Handler handler();

 private:
  using Request = std::shared_ptr<const net::ServerRequest>;
  boost::asio::awaitable<void> serve(Request request, net::Exchange& exchange);
  boost::asio::awaitable<net::Response> answer(Request request);
  boost::asio::awaitable<net::Response> answer_post(Request request, std::string peer);
  boost::asio::awaitable<net::Response> dispatch(Request request, std::string peer);
  boost::asio::awaitable<net::Response> look(Request request, std::string peer);
  boost::asio::awaitable<net::Response> sign_in(Request request);
  boost::asio::awaitable<net::Response> submit(Request request, std::string peer);
  net::Response progress(const net::ServerRequest& request);
  commands::FormVisitor visitor(const net::ServerRequest& request, std::string peer,
                                const std::string& token) const;
  bool too_often(const std::string& token);
  net::Response limited() const;
  net::Response wants_sign_in(int status, const commands::SignInNeeded& needed, const std::string& link);
  net::Response refuse(const char* event, int status, std::string_view state,
                       std::string_view sentence) const;
  storage::TimePoint now() const;

  commands::FormDesk& desk_;
  bool hsts_;
  Observer observer_;
  IntakeOptions options_;
  RateLimit limit_, link_limit_, progress_limit_;
};

}  // namespace keyturn::bot

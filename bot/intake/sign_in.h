// Who posts the one-time form, proven by "Sign in with Slack": the attempts that are under way, and the
// sessions that came of them. A session is for one person and one link, in memory only, and short: it is gone
// with the process, and whoever holds the cookie alone holds nothing.
//
// An attempt is bound to its link, not to a browser: Slack sends the code to our own page, which gives it to
// us only together with the link's token. Coming back from Slack is a cross-site navigation, which a
// SameSite=Strict cookie doesn't travel with; it needn't, since the cookie is set by the page's own POST
// after that.
//
// Thread: io only. Failure: a sentence for the person; why goes into the log, without state, code or cookie.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "integrations/slack/openid.h"
#include "storage/clock.h"

namespace keyturn::bot {

class SignIn {
 public:
  // slack::OpenId::exchange, or a test's. May throw integrations::ApiError.
  using Exchange = std::function<boost::asio::awaitable<std::expected<slack::Identity, std::string>>(
      std::string code, std::string nonce)>;

  // `clock` must outlive this. Whether the cookie is for https only follows from the client's redirect_uri
  // (plain http is for a sandbox on loopback, which the settings see to).
  SignIn(slack::OpenIdClient client, Exchange exchange, const storage::Clock& clock);

  // Where the browser goes to. The attempt is remembered for ten minutes, as long as Slack's code is good.
  std::string begin(const std::string& link_hash);

  // Spends the attempt, whatever comes of it. The value of a Set-Cookie header, or a sentence for the person.
  // Whether the right person signed in is for the caller to say (user()). This must outlive the call.
  boost::asio::awaitable<std::expected<std::string, std::string>> finish(std::string link_hash,
                                                                         std::string state, std::string code);

  // Who ("U...") is signed in, for this link, by this Cookie header.
  std::optional<std::string> user(std::string_view cookie_header, std::string_view link_hash) const;

 private:
  struct Attempt {
    std::string state, nonce, link_hash;
    storage::TimePoint until;
  };
  struct Session {
    std::string id_hash;  // the id itself is only in the browser
    std::string link_hash, user;
    storage::TimePoint until;
  };

  std::optional<Attempt> take_attempt(std::string_view state, std::string_view link_hash);
  std::string open_session(std::string user, std::string link_hash);

  slack::OpenIdClient client_;
  Exchange exchange_;
  const storage::Clock& clock_;
  bool https_;
  std::deque<Attempt> attempts_;  // oldest first, both
  std::deque<Session> sessions_;
};

}  // namespace keyturn::bot

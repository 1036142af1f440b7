// "Sign in with Slack" (OpenID Connect): who is in front of the browser, in Slack's words. The browser goes
// to authorize_url() and comes back with a code; exchange() turns the code into an identity. Only `openid` is
// asked for: no email, no profile. Source: https://docs.slack.dev/authentication/sign-in-with-slack and
// https://docs.slack.dev/reference/methods/openid.connect.token.
//
// The ID token's signature is not checked, and needn't be: it comes straight from Slack's token endpoint,
// over TLS with a checked certificate, in answer to a request that carries our client secret, and OpenID
// Connect Core 1.0 (3.1.3.7, point 6) lets that take the signature's place. So an ID token that came any
// other way must never get here. PKCE is left out on purpose: to switch it on makes the Slack app a public
// client for good, without a secret (https://docs.slack.dev/authentication/using-pkce).
//
// Thread: io only. Failure: whatever Slack says no to, and any answer of a shape that we don't know, is a
// reason in our own words; no answer, or one that may become another later (429, 5xx), is an ApiError.
// Neither holds a code, a token or the secret.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "integrations/net/http_client.h"
#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::slack {

struct OpenIdClient {
  // "https://slack.com", without a path: where the pages and methods are. It is also the issuer of the tokens
  // (https://slack.com/.well-known/openid-configuration).
  std::string origin;
  std::string client_id;     // "2141029472.691202649728"
  std::string redirect_uri;  // "https://keyturn.example.com/form": exactly, or below, what the app is set to
  std::string team;          // "T...": people of any other workspace are refused
};

struct Identity {
  std::string user;  // "U..."
  std::string team;  // the client's own
};

// Where the browser goes. `state` comes back with it; `nonce` comes back inside the ID token.
std::string authorize_url(const OpenIdClient& client, std::string_view state, std::string_view nonce);

// Who an ID token says that it is, if it is one for us, for this nonce, and of now. Looks at everything but
// the signature (see above). Otherwise a reason, in our words.
std::expected<Identity, std::string> read_id_token(const OpenIdClient& client, std::string_view id_token,
                                                   std::string_view nonce, storage::TimePoint now);

class OpenId {
 public:
  // Called after every exchange: "openid.connect.token", and "ok", Slack's error word, "refused" (an ID token
  // that isn't good) or a failure's name; for the metrics. May be empty.
  using Observer = std::function<void(const std::string& method, const std::string& outcome)>;

  // `http` and `clock` must outlive this.
  OpenId(net::HttpClient& http, const storage::Clock& clock, OpenIdClient client,
         storage::SharedSecret client_secret, Observer observer);

  const OpenIdClient& client() const { return client_; }

  // Spends the code. The access token that comes along is wiped, and used for nothing.
  boost::asio::awaitable<std::expected<Identity, std::string>> exchange(std::string code, std::string nonce);

 private:
  boost::asio::awaitable<net::Response> send(std::string code);
  storage::SharedSecret body_for(std::string_view code) const;
  std::expected<Identity, std::string> judged(net::Response response, std::string_view nonce) const;
  void observe(const std::string& outcome) const;

  net::HttpClient& http_;
  const storage::Clock& clock_;
  OpenIdClient client_;
  storage::SharedSecret client_secret_;
  Observer observer_;
};

}  // namespace keyturn::slack

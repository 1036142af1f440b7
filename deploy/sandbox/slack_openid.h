// The emulated Slack's side of "Sign in with Slack" (OpenID Connect): the page on which a person is chosen,
// the exchange of the code, and what a client may look up about both. Sources:
// docs.slack.dev/authentication/sign-in-with-slack, docs.slack.dev/reference/methods/openid.connect.token and
// https://slack.com/.well-known/openid-configuration. The pages' words and looks are our own. Thread: io
// only.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/sandbox/id_token.h"
#include "deploy/sandbox/slack_people.h"
#include "integrations/net/http_server.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

inline constexpr const char* kClientId = "2026112300.1933011405";

class SlackOpenId {
 public:
  // Both must outlive this.
  SlackOpenId(const People& people, const storage::Clock& clock);

  // "http://127.0.0.1:4001": where this is served, and so the issuer.
  void set_origin(std::string origin) { origin_ = std::move(origin); }
  // One of the app's redirect URLs: it, or anything below it, may be gone back to.
  void allow_redirect(std::string url) { redirects_.push_back(std::move(url)); }
  const std::string& client_secret() const { return client_secret_; }

  // Whether answer() is for that path.
  static bool serves(std::string_view path);

  // GET /openid/connect/authorize: the people to choose from; with `as=U0ADMIN`, as that person's button
  // sends it, the way back with a code. (A stranger has no button, but can be named.) GET
  // /openid/connect/keys and
  // /.well-known/openid-configuration.
  net::Response answer(const net::ServerRequest& request);

  // openid.connect.token; client_secret_post and client_secret_basic.
  nlohmann::json exchange(const net::ServerRequest& request, const nlohmann::json& arguments);

 private:
  struct Code {
    std::string user, nonce;
    std::string redirect_uri;  // as it was sent; empty when it wasn't
    storage::TimePoint until;
  };
  using Query = std::map<std::string, std::string>;

  net::Response authorize(const Query& query);
  net::Response choose(const Query& query) const;
  std::string problem_of(const Query& query) const;
  std::string way_back(const Query& query) const;
  std::string mint_code(const Query& query);
  nlohmann::json tokens_for(const Code& code);
  nlohmann::json configuration() const;

  const People& people_;
  const storage::Clock& clock_;
  IdTokenSigner signer_;
  std::string origin_;
  std::vector<std::string> redirects_;
  std::string client_secret_;
  std::map<std::string, Code> codes_;
};

}  // namespace keyturn::sandbox

